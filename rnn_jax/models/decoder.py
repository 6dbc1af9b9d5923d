"""A decoder over any cell: from what was read, a memory, to the tokens that it writes.

    p(y | memory) = prod_i softmax(W_o u_i + b_o), u_i the features that the decoder makes at step i; with deep=l
                    softmax(W_o t_i + b_o), t_i = max(W_1 u_i, W_2 u_i), maxout of l units (Goodfellow et al., 2013)

What the decoder knows of the memory (`inform`):

    state      its initial carry alone (Sutskever, Vinyals & Le, 2014)                   u_i = h_i
    input      and at each step z, one vector (Cho et al., 2014)                         u_i = [h_i, z, e_i]
    attention  and at each step the context c_i that `rnn_jax.attention` reads from the keys
               when="before"  (Bahdanau et al., 2015)  query h_{i-1}; input [e_i, c_i]  u_i = [h_i, c_i, e_i]
                              with gate=True c_i is multiplied by sigmoid(w h_{i-1} + b), a number (Xu et al., 2015)
               when="after"   (Luong et al., 2015)     query h_i;     input e_i, with feed=True [e_i, u_{i-1}]
                                                                                        u_i = tanh(W_c [c_i, h_i])

A memory is a dict: keys [s b k], segments int [s b], and what `start` reads. Rows are packed: a row of a batch may hold
several texts, one after the other, and `segments` (1, 2, ... and 0 for nothing, of the memory and of the tokens) says
which positions belong together. The states are reset where a segment begins, and attention reads the keys of its own
segment. One text a row is segments of 1, and 0 where it is over.

W_o begins as N(0, 1 / fan in), for Glorot's is small before a large vocabulary; W_c as twice Glorot's, for c and h are
below one. Embeddings begin as N(0, 0.01): N(0, 1) was tried (configs/captioning/cnn_h0.py).

Everything is a pure function of (params, ...); tokens are time-major; dropout masks are drawn outside the loops.
"""

import abc
import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnn_jax import attention
from rnn_jax.cells.base import Cell
from rnn_jax.cells.initializers import glorot, lecun, normal
from rnn_jax.scan import scan


@dataclasses.dataclass(frozen=True)
class Decoder(abc.ABC):
    """The sizes of a decoder. What reads is a subclass: it makes the memory, says how wide its keys are, and what the
    decoder starts with."""

    cell: Cell
    targets: int  # vocabulary
    d: int = 512  # units of each layer
    embed: int = 256
    layers: int = 1
    inform: Literal["state", "input", "attention"] = "attention"
    attention: Literal["additive", "dot", "general", "concat"] = "additive"
    when: Literal["before", "after"] = "before"
    feed: bool = False  # of when="after": input feeding
    gate: bool = False  # of when="before"
    deep: int = 0  # units of a maxout layer between the features and the scores; 0: none
    dropout: float = 0.0  # of embeddings, and between layers
    dropout_out: float = 0.0  # of the features u_i
    variational: bool = False  # one dropout mask for all steps of a row (Gal & Ghahramani, 2016)
    method: str = "auto"

    def __post_init__(self):
        known = {"inform": ("state", "input", "attention"), "attention": attention.KINDS, "when": ("before", "after")}
        for key, names in known.items():
            if getattr(self, key) not in names:
                raise ValueError(f"decoder: {key} is {getattr(self, key)!r}; want one of {', '.join(names)}")
        for key, why, when in (
            ("feed", "feeds back tanh(W_c [c, h])", "after"),
            ("gate", "gates c by h_{i-1}", "before"),
        ):
            if getattr(self, key) and (self.inform, self.when) != ("attention", when):
                raise ValueError(f'decoder: {key}=True {why}: it needs inform="attention", when="{when}"')

    @property
    @abc.abstractmethod
    def keys(self) -> int:
        """Width of the memory's keys, and of z."""

    @abc.abstractmethod
    def start(self, params, memory, segments) -> tuple[list[Any], Any]:
        """What each target position's segment begins with, [t b ...]: (carry of each layer, z [k])."""

    @property
    def after(self):
        return self.inform == "attention" and self.when == "after"

    def init(self, key):
        k = iter(jax.random.split(key, 7))
        d, embed, wide = self.d, self.embed, self.keys
        more = {"state": 0, "input": wide, "attention": (d if self.feed else 0) if self.after else wide}[self.inform]
        layers = enumerate(jax.random.split(next(k), self.layers))
        params: dict[str, Any] = {"target_embedding": normal(0.1)(next(k), (self.targets, embed))}
        params["decoder"] = [self.cell.init(key, embed + more if i == 0 else d, d) for i, key in layers]
        if self.inform == "attention":
            params["attention"] = attention.init(self.attention, next(k), d, wide, d)
        if self.after:
            params["combine"] = 2 * glorot()(next(k), (wide + d, d))
        if self.gate:
            params["gate"] = {"w": glorot()(next(k), (d, 1)), "b": jnp.zeros(1)}
        features = d if self.after or self.inform == "state" else d + wide + embed
        if self.deep:
            params["deep"] = glorot()(next(k), (features, 2 * self.deep))
        return params | {"wo": lecun()(next(k), (self.deep or features, self.targets)), "bo": jnp.zeros(self.targets)}

    def opening(self, params, memory, segments):
        """The carry of `advance` where each target position's segment begins, [t b ...]."""
        states, z = self.start(params, memory, segments)
        top, shape = jax.tree.leaves(states[-1])[0], (*segments.shape, self.d)
        # Before the first step h_0 asks; what is fed back (of a query after the step) is nothing yet.
        asks = top.shape == shape and not jnp.iscomplexobj(top) and not self.after
        return states, top if asks else jnp.zeros(shape, z.dtype), z

    def advance(self, params, memory, carry, e, segment, drop=()):
        """One step of the decoder: (carry, features [b u], attention weights [s b] or None).

        carry: (of each layer, out [b d], z [b k]); e: embedded token [b n]; segment: int [b]; drop: a mask [b d] for
        what each layer but the last hands on.
        """
        states, out, z = carry
        read = lambda query: getattr(attention, self.attention)(
            query, memory["keys"], (memory["segments"] == segment) & (segment > 0), **params["attention"]
        )
        weights, more = None, []
        if self.inform == "input":
            more = [z]
        elif self.inform == "attention" and not self.after:
            context, weights = read(out)
            if self.gate:
                context = context * jax.nn.sigmoid(out @ params["gate"]["w"] + params["gate"]["b"])
            more = [context]
        elif self.feed:
            more = [out]
        h, after = jnp.concatenate([e, *more], axis=-1), []
        for i, (p, state) in enumerate(zip(params["decoder"], states, strict=True)):
            state, h = self.cell.step(p, state, h)
            after.append(state)
            h = h * drop[i] if i < len(drop) else h
        if self.after:
            context, weights = read(h)
            h = features = jnp.tanh(jnp.concatenate([context, h], axis=-1) @ params["combine"])
        else:
            features = h if self.inform == "state" else jnp.concatenate([h, *more, e], axis=-1)
        return (after, h, z), features, weights

    def readout(self, params, features):
        if self.deep:
            features = jnp.maximum(*jnp.split(features @ params["deep"], 2, axis=-1))
        return features @ params["wo"] + params["bo"]

    def write(self, params, memory, inputs, segments, *, forcing=None, key=None, collect=()):
        """Scores [t b v] of the target tokens after `inputs` [t b], each row beginning every segment with its start.

        forcing  [b]: scheduled sampling (Bengio et al., 2015, arXiv:1506.03099): the probability, a coin per token,
                 that the given token is read; else what the model itself finds most likely. None: always the given one
        key      dropout, and the coins; None for evaluation
        collect  ("attention",): then (logits, dict of [t ...])
        """
        t, b = inputs.shape
        k_in, k_between, k_out, k_coin = split(key, 4)
        first, start = begins(segments), self.opening(params, memory, segments)
        zero = jax.tree.map(lambda a: jnp.zeros_like(a[0]), start)
        drop_in = self.mask(k_in, (t, b, self.embed), self.dropout)
        between = [self.mask(k, (t, b, self.d), self.dropout) for k in split(k_between, self.layers)[:-1]]
        between = [] if between and between[0] is None else between
        given = params, {k: memory[k] for k in ("keys", "segments")}

        def move(given, carry, e, segment, first, start, drop):
            carry = jax.tree.map(lambda s, c: jnp.where(_wide(first, c), s, c), start, carry)
            params, memory = given
            return self.advance(params, memory, carry, e, segment, drop)[:2]

        if forcing is None:
            e = params["target_embedding"][inputs]
            e = e if drop_in is None else e * drop_in
            out: Any = scan(
                lambda given, carry, x: move(given, carry, *x), given, zero, (e, segments, first, start, between),
                method=self.method, collect=collect,
            )  # fmt: skip
            logits = self.readout(params, self.drop(k_out, out[1], self.dropout_out))
            return (logits, out[2]) if collect else logits
        if k_coin is None:
            raise ValueError("decoder: forcing draws coins: give a key")
        forced = jax.random.bernoulli(k_coin, forcing, (t, b)) | first
        drop_out = self.mask(k_out, (t, b, params["deep" if self.deep else "wo"].shape[0]), self.dropout_out)

        def sampled(given, carry, x):
            carry, guess = carry
            token, forced, drop_in, drop_out, *rest = x
            e = given[0]["target_embedding"][jnp.where(forced, token, guess)]
            carry, features = move(given, carry, e if drop_in is None else e * drop_in, *rest)
            logits = self.readout(given[0], features if drop_out is None else features * drop_out)
            return (carry, jnp.argmax(logits, -1).astype(token.dtype)), logits

        xs = inputs, forced, drop_in, drop_out, segments, first, start, between
        carry = zero, jnp.zeros(b, inputs.dtype)
        out: Any = scan(sampled, given, carry, xs, method=self.method, collect=collect)
        return (out[1], out[2]) if collect else out[1]

    def begin(self, params, memory):
        """(given, carry) for `step`: decoding of one text a row."""
        s, b = memory["segments"].shape
        carry = jax.tree.map(lambda a: a[0], self.opening(params, memory, jnp.ones((1, b), memory["segments"].dtype)))
        memory = {k: memory[k] for k in ("keys", "segments")}
        return (params, memory), (carry, jnp.zeros((b, s), memory["keys"].dtype))

    def step(self, given, carry, tokens):
        """What `rnn_jax.decoding` asks for; the carry holds `covered` as well, the sum of the attention [b s]."""
        (params, memory), (carry, covered) = given, carry
        e = params["target_embedding"][tokens]
        carry, features, weights = self.advance(params, memory, carry, e, jnp.ones_like(tokens))
        if weights is not None:
            covered = covered + jnp.where(memory["segments"] == 1, weights, 1).T
        return (carry, covered), self.readout(params, features)

    def mask(self, key, shape, rate):
        """A dropout mask [t b ...], scaled to keep the mean; None where nothing is dropped."""
        if key is None or not rate:
            return None
        drawn = jax.random.bernoulli(key, 1 - rate, (1, *shape[1:]) if self.variational else shape)
        return jnp.broadcast_to(drawn / (1 - rate), shape)

    def drop(self, key, xs, rate):
        mask = self.mask(key, xs.shape, rate)
        return xs if mask is None else xs * mask


def begins(segments):
    """bool [t b]: where a segment begins, the empty one (0) included."""
    before = jnp.concatenate([jnp.full_like(segments[:1], -1), segments[:-1]])
    return segments != before


def split(key, n):
    """n keys; of None: n times None."""
    return [None] * n if key is None else list(jax.random.split(key, n))


def _wide(marks, like):
    return marks.reshape(*marks.shape, *[1] * (like.ndim - 1))
