"""Flax NNX layers over `rnn_jax.scan`, time-major: the only file in which recurrence meets Flax.

Every layer is called alike, so layers nest:  carry, ys = m(xs, carry=None, lengths=, resets=, collect=, key=).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from rnn_jax.cells.base import Cell
from rnn_jax.scan import scan


class Recurrent(nnx.Module):
    """A cell over time: xs [t b n] -> ys [t b d].

    >>> layer = Recurrent(rnn_jax.cells.lstm(), 65, 128, rngs=nnx.Rngs(0))
    >>> carry, ys = layer(xs)                        # from the zero state, or the learned one
    >>> carry, ys = layer(xs, carry)                 # truncated BPTT: the state goes on, its gradient does not

    learn_carry  the state at the start, and at reset marks, is a parameter (one state, the same for all rows).
    reverse      from the last step to the first, within each sequence's length.
    key          the cell's noise: a step that takes x = (x, key) gets a key for each step; None for evaluation.
    collect      names of values; then returns (carry, ys, dict of [t b ...]).
    """

    def __init__(
        self,
        cell: Cell,
        n: int,
        d: int,
        *,
        learn_carry=False,
        reverse=False,
        method="auto",
        dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.cell, self.d, self.dtype = cell, d, dtype
        self.reverse, self.method = reverse, method
        self.params = nnx.data(jax.tree.map(nnx.Param, cell.init(rngs.params(), n, d, dtype)))
        zero = cell.carry(1, d, dtype)
        self.start = nnx.data(jax.tree.map(nnx.Param, zero)) if learn_carry else None

    def initial_carry(self, b: int):
        """The state before the first step, for b rows."""
        if self.start is None:
            return self.cell.carry(b, self.d, self.dtype)
        return jax.tree.map(lambda a: jnp.broadcast_to(a[...], (b, *a.shape[1:])), self.start, is_leaf=_is_param)

    def __call__(self, xs, carry=None, *, lengths=None, resets=None, collect: Sequence[str] = (), key=None):
        t, b = jax.tree.leaves(xs)[0].shape[:2]
        initial = self.initial_carry(b)
        params = jax.tree.map(lambda p: p[...], self.params, is_leaf=_is_param)
        inputs = xs if key is None else (xs, jax.random.split(key, t))
        return scan(
            self.cell.step, params, initial if carry is None else carry, inputs, lengths=lengths, resets=resets,
            initial=None if resets is None else initial, reverse=self.reverse, method=self.method, collect=collect,
        )  # fmt: skip


class Stack(nnx.Module):
    """Layers on top of one another: the carry is the tuple of theirs; collected names get the layer's number, "0/h"."""

    def __init__(self, layers: Sequence[Any]):
        self.layers = nnx.data(list(layers))

    def initial_carry(self, b: int):
        return tuple(layer.initial_carry(b) for layer in self.layers)

    def __call__(self, xs, carry=None, *, lengths=None, resets=None, collect: Sequence[str] = (), key=None):
        prefixes = [str(i) for i in range(len(self.layers))]
        keys = _keys(key, len(self.layers))
        asked = _by_prefix(collect, prefixes)
        carries, collected = [], {}
        for i, layer in enumerate(self.layers):
            state = None if carry is None else carry[i]
            out = layer(xs, state, lengths=lengths, resets=resets, collect=asked[str(i)], key=keys[i])
            carries.append(out[0])
            xs = out[1]
            collected |= {f"{i}/{k}": v for k, v in (out[2] if asked[str(i)] else {}).items()}
        return (tuple(carries), xs, collected) if collect else (tuple(carries), xs)


class Bidirectional(nnx.Module):
    """Two layers over the same input, one of them made with reverse=True; their outputs side by side [t b d1+d2].

    Needs the whole sequence: it neither carries a state across windows nor decodes. Names: "forward/h", "backward/h".
    """

    def __init__(self, forward: Any, backward: Any):
        if not getattr(backward, "reverse", True) or getattr(forward, "reverse", False):
            raise ValueError("Bidirectional: make the backward layer, and only it, with reverse=True")
        self.forward, self.backward = forward, backward

    def initial_carry(self, b: int):
        return self.forward.initial_carry(b), self.backward.initial_carry(b)

    def __call__(self, xs, carry=None, *, lengths=None, resets=None, collect: Sequence[str] = (), key=None):
        keys = _keys(key, 2)
        asked = _by_prefix(collect, ("forward", "backward"))
        outs, collected = [], {}
        for i, (name, layer) in enumerate((("forward", self.forward), ("backward", self.backward))):
            state = None if carry is None else carry[i]
            out = layer(xs, state, lengths=lengths, resets=resets, collect=asked[name], key=keys[i])
            outs.append(out)
            collected |= {f"{name}/{k}": v for k, v in (out[2] if asked[name] else {}).items()}
        carries = outs[0][0], outs[1][0]
        ys = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-1), outs[0][1], outs[1][1])
        return (carries, ys, collected) if collect else (carries, ys)


def functional(model: nnx.Module):
    """(params, rebuild): a model as a function of its parameters, a dict of arrays, for loops and transformations that
    know no Flax: `rebuild(params)(xs)`.
    """
    graph, state, rest = nnx.split(model, nnx.Param, ...)

    def rebuild(params):
        full = jax.tree.map(lambda a: a, state)
        nnx.replace_by_pure_dict(full, params)
        return nnx.merge(graph, full, rest)

    return nnx.to_pure_dict(state), rebuild


def _is_param(a):
    return isinstance(a, nnx.Variable)


def _keys(key, n):
    return [None] * n if key is None else list(jax.random.split(key, n))


def _by_prefix(collect, prefixes):
    """{"0": ("h",), "1": ()} of ("0/h",) and the prefixes 0, 1."""
    asked: dict[str, tuple[str, ...]] = dict.fromkeys(prefixes, ())
    for name in collect:
        prefix, _, rest = name.partition("/")
        if prefix not in asked or not rest:
            raise ValueError(
                f"collect: {name!r} names no layer here; write one of "
                + ", ".join(f"{p}/{rest or name}" for p in prefixes)
            )
        asked[prefix] = (*asked[prefix], rest)
    return asked
