"""One recurrent layer in each library, forward and with the gradient: what `experiments.speed` times.

`build(name, problem)` gives the calls of a contender: "fwd", all outputs; "fwdbwd", the gradient of sum(weight * ys)
with respect to parameters and inputs. Each call ends when its result is there. A library that is not installed, or has
no such cell, raises Absent with the reason. Inputs are time-major, weights random: values differ, the work does not.
Cells are each library's own: LSTM with forget gate, GRU (with the reset after the product in torch, flax, Keras,
equinox; before it here and in haiku), tanh. Where there are several JAX devices that divide the batch
(JAX_NUM_CPU_DEVICES=2: one a core), every layer in JAX has its batch cut over them; torch uses its threads.
"""
# pyright: reportMissingImports=false, reportPrivateImportUsage=false
# (the other libraries are optional)

import functools
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from rnn_jax.benchmarks import variants
from rnn_jax.methods import METHODS, Fused
from rnn_jax.scan import scan


class Absent(Exception):
    """A contender that cannot take part, and why."""


class Problem(NamedTuple):
    cell: str  # lstm, gru, vanilla, or for our own methods any of rnn_jax.cells and `variants`
    shape: tuple[int, int, int, int]  # b t n d
    dtype: str = "float32"
    seed: int = 0
    passes: tuple[str, ...] = ("fwd", "fwdbwd")  # those that will be called: no other is compiled
    shortest: float = 1.0  # of t: sequences are this long at least; 1: all have t steps, and no mask


class Calls(NamedTuple):
    fwd: Callable[[], Any] | None  # of the passes of the problem
    fwdbwd: Callable[[], Any] | None
    bytes: Mapping[str, int] = {}  # beside arguments and results, of the compiled program, by pass
    compile: Mapping[str, float] = {}  # seconds until its first result, less those of the second, by pass


OURS = {"ours": "auto", **{name: name for name in METHODS}, "fused_mosaic": Fused(backend="mosaic")}


def build(name: str, problem: Problem) -> Calls:
    """The calls of the contender of this name."""
    if name in OURS:
        return ours(OURS[name], problem)
    if problem.shortest < 1:
        raise Absent("sequences of unequal lengths are timed by our own methods only")
    library = name.split("_")[0]
    if importlib.util.find_spec(library) is None:
        raise Absent(f"{library} is not installed: pip install .[bench]")
    return CONTENDERS[name](problem)


def data(problem: Problem):
    """(xs [t b n], weight [t b d]) as numpy."""
    b, t, n, d = problem.shape
    rng = np.random.default_rng(problem.seed)
    return rng.standard_normal((t, b, n), np.float32), rng.standard_normal((t, b, d), np.float32)


def lengths(problem: Problem):
    """Of the b sequences, int [b]; None where all have t steps."""
    (b, t, *_), rng = problem.shape, np.random.default_rng((problem.seed, 1))
    return None if problem.shortest >= 1 else rng.integers(int(problem.shortest * t), t + 1, b)


def compiled(apply, params, problem: Problem) -> Calls:
    """Of a function (params, xs) -> ys [t b d] in JAX."""
    xs, weight = (jnp.asarray(a, problem.dtype) for a in data(problem))
    params = jax.tree.map(lambda a: a.astype(problem.dtype), params)
    count = jax.device_count() if problem.shape[0] % jax.device_count() == 0 else 1
    mesh = jax.make_mesh((count,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:count])
    whole, cut = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, "data"))
    params, xs, weight = jax.device_put(params, whole), jax.device_put(xs, cut), jax.device_put(weight, cut)
    loss = lambda params, xs, weight: jnp.sum((apply(params, xs) * weight).astype(jnp.float32))
    passes = {
        "fwd": (jax.jit(apply, out_shardings=cut), (params, xs)),
        "fwdbwd": (jax.jit(jax.grad(loss, (0, 1)), out_shardings=(whole, cut)), (params, xs, weight)),
    }
    programs, used, seconds = {}, {}, {}
    for key in problem.passes:
        f, args = passes[key]
        times = [time.perf_counter()]
        programs[key] = f.lower(*args).compile()
        for _ in range(2):
            jax.block_until_ready(programs[key](*args))
            times.append(time.perf_counter())
        seconds[key] = (times[1] - times[0]) - (times[2] - times[1])
        memory = programs[key].memory_analysis()
        used[key] = memory.temp_size_in_bytes if memory else 0
    run = {key: lambda p=p, args=passes[key][1]: jax.block_until_ready(p(*args)) for key, p in programs.items()}
    return Calls(run.get("fwd"), run.get("fwdbwd"), used, seconds)


def ours(method, problem: Problem) -> Calls:
    b, _, n, d = problem.shape
    cell = variants.named(problem.cell)
    params = cell.init(jax.random.key(problem.seed), n, d)
    carry, kwargs = cell.carry(b, d, problem.dtype), {"method": method, "lengths": lengths(problem)}
    try:
        return compiled(lambda p, xs: scan(cell.step, p, carry, xs, **kwargs)[1], params, problem)
    except ValueError as e:
        raise Absent(str(e)) from None


def _choose(problem: Problem, **known):
    if problem.cell not in known:
        raise Absent(f"it has no {problem.cell} here")
    return known[problem.cell]


def flax_nnx(problem: Problem, optimized=False) -> Calls:
    from flax import nnx

    b, _, n, d = problem.shape
    lstm = nnx.OptimizedLSTMCell if optimized else nnx.LSTMCell
    kind = _choose(problem, lstm=lstm, **({} if optimized else {"gru": nnx.GRUCell, "vanilla": nnx.SimpleCell}))
    cell = kind(n, d, dtype=problem.dtype, rngs=nnx.Rngs(problem.seed))
    graph, params, rest = nnx.split(nnx.RNN(cell, time_major=True), nnx.Param, ...)
    # Its own zero carry is float32, which a bfloat16 cell would not keep.
    start = jnp.zeros((b, d), problem.dtype)
    carry = (start, start) if problem.cell == "lstm" else start
    return compiled(lambda p, xs: nnx.merge(graph, p, rest)(xs, initial_carry=carry), params, problem)


def flax_linen(problem: Problem, optimized=False) -> Calls:
    from flax import linen

    b, t, n, d = problem.shape
    lstm = linen.OptimizedLSTMCell if optimized else linen.LSTMCell
    kind = _choose(problem, lstm=lstm, **({} if optimized else {"gru": linen.GRUCell, "vanilla": linen.SimpleCell}))
    layer = linen.RNN(kind(d, dtype=problem.dtype), time_major=True)
    start = jnp.zeros((b, d), problem.dtype)
    carry = (start, start) if problem.cell == "lstm" else start
    params = layer.init(jax.random.key(problem.seed), jnp.zeros((t, b, n)), initial_carry=carry)
    return compiled(lambda p, xs: layer.apply(p, xs, initial_carry=carry), params, problem)


def haiku(problem: Problem) -> Calls:
    import haiku as hk

    b, _, n, d = problem.shape
    kind = _choose(problem, lstm=hk.LSTM, gru=hk.GRU, vanilla=hk.VanillaRNN)

    def forward(xs):
        core = kind(d)
        carry = jax.tree.map(lambda a: a.astype(xs.dtype), core.initial_state(b))
        return hk.dynamic_unroll(core, xs, carry)[0]

    pure = hk.without_apply_rng(hk.transform(forward))
    params = pure.init(jax.random.key(problem.seed), jnp.zeros((1, b, n)))
    return compiled(pure.apply, params, problem)


def equinox(problem: Problem) -> Calls:
    import equinox as eqx

    b, _, n, d = problem.shape
    kind = _choose(problem, lstm=eqx.nn.LSTMCell, gru=eqx.nn.GRUCell)
    params, static = eqx.partition(kind(n, d, key=jax.random.key(problem.seed)), eqx.is_inexact_array)
    start = jnp.zeros((b, d), problem.dtype)
    carry = (start, start) if problem.cell == "lstm" else start

    def apply(params, xs):
        cell = jax.vmap(eqx.combine(params, static))

        def step(carry, x):
            carry = cell(x, carry)
            return carry, carry[0] if problem.cell == "lstm" else carry

        return jax.lax.scan(step, carry, xs)[1]

    return compiled(apply, params, problem)


def keras(problem: Problem) -> Calls:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras as k

    if k.backend.backend() != "jax":
        raise Absent(f"keras runs on {k.backend.backend()}; set KERAS_BACKEND=jax")
    b, t, n, d = problem.shape
    kind = _choose(problem, lstm=k.layers.LSTM, gru=k.layers.GRU, vanilla=k.layers.SimpleRNN)
    policy = "mixed_bfloat16" if problem.dtype == "bfloat16" else problem.dtype  # its initialiser knows no other
    layer = kind(d, return_sequences=True, dtype=policy)
    layer.build((b, t, n))
    params = [v.value for v in layer.trainable_variables]
    rest = [v.value for v in layer.non_trainable_variables]

    def apply(params, xs):  # batch-major
        return layer.stateless_call(params, rest, xs.swapaxes(0, 1))[0].swapaxes(0, 1)

    return compiled(apply, params, problem)


def torch(problem: Problem, half="bfloat16") -> Calls:
    """half: what it computes in where the problem says bfloat16, in which it packs its weights anew at every call."""
    import torch as th

    if half != "bfloat16" and problem.dtype != "bfloat16":
        raise Absent(f"it has no {problem.dtype}")

    _, _, n, d = problem.shape
    kind = _choose(problem, lstm=th.nn.LSTM, gru=th.nn.GRU, vanilla=th.nn.RNN)
    device = "cuda" if th.cuda.is_available() and jax.default_backend() == "gpu" else "cpu"
    dtype = getattr(th, half if problem.dtype == "bfloat16" else problem.dtype)
    th.manual_seed(problem.seed)
    layer = kind(n, d).to(device, dtype)
    xs, weight = (th.from_numpy(a).to(device, dtype) for a in data(problem))
    xs.requires_grad_()
    inputs = [xs, *layer.parameters()]
    wait = th.cuda.synchronize if device == "cuda" else lambda: None

    def fwd():
        with th.no_grad():
            layer(xs)
        wait()

    def fwdbwd():
        th.autograd.grad(layer(xs)[0], inputs, weight)
        wait()

    return Calls(fwd, fwdbwd)


CONTENDERS: dict[str, Callable[[Problem], Calls]] = {
    "flax_nnx": flax_nnx,
    "flax_nnx_optimized": functools.partial(flax_nnx, optimized=True),
    "flax_linen": flax_linen,
    "flax_linen_optimized": functools.partial(flax_linen, optimized=True),
    "haiku": haiku,
    "equinox": equinox,
    "keras": keras,
    "torch": torch,
    "torch_float16": functools.partial(torch, half="float16"),
}
