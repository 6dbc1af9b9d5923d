"""method="auto": what was fastest where it was measured.

    platform   of a step                                        without a gradient   with one
    cpu        float32, one device, a C++ compiler, and code    "native"             "native"
               for all that the loop does, none of it slow
    cpu        W_x is small, and the products of all inputs     "hoisted"            as below
               fill the caches, or are cut into 4 gates
    cpu        one device, and what a gradient keeps of all     "deferred"           "chunked"
               steps does not fit the caches (36 MiB)
    cpu        all others, linear ones too                      "deferred"           "deferred"
    cpu        bfloat16 or float16                              the same, in float32 (rnn_jax/methods/widened.py)
    gpu        linear in a carry whose units are apart          "associative"        "associative"
    gpu        the kernel takes it (weights fit the chip), no   "fused"              "fused"
               float64, one device of compute capability >= 9.0
    gpu        all others, 4 steps an iteration                 "deferred"           "deferred"
    tpu        all: nothing was measured on one yet             "deferred"           "deferred"

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel, float32, LSTM, GRU and tanh at the first five shapes of
configs/speed/default.py: with a gradient "deferred" takes 1.1 to 2.3 times as long as "native", "hoisted" 1.2 to 4.1;
without one 1.2 to 3.5 and 1.2 to 2.3. In chunks of time by "chunked" it took 1.2 to 1.3 times as long itself, the day
before. A loop is slow where it needs a function that compilers make no vectors of (sin, erf, a power), or sums over
numbers that do not lie side by side. Steps with layer normalisation, running sums, logarithms, attention or a matrix
for a memory: configs/speed/variants.py and attention.py.

The other rows of a CPU: measured 2026-11-23, jax 0.10.2, 2 CPU cores, float32, b x t x n x d, without a gradient:
"hoisted" took 0.48 and 0.68 of the time of "deferred" for the LSTM at 20x200x6x50 and 32x100x64x128 (XLA does not
vectorise four gates that are each read from two arrays), 1.02 and 1.06 for the GRU; at 64x128x256x512, where the
products of all inputs take 64 MiB, 0.69 (LSTM), 0.83 (GRU) and 0.78 (tanh); at 16x128x768x768, where W_x takes 9 MiB,
1.18, 1.03 and 1.01. With a gradient "reference" takes 1.1 to 1.7 times as long as "deferred" where that fits the
caches, and 0.9 to 1.05 times where it does not; "chunked" takes 0.6 to 0.9 of the time of "deferred" there (LSTM and
GRU at 48 to 256 x 100 x 64 x 128, 256x50x64x64, 1x4096x64x128, 16x1024x768x768), and 1.0 to 1.1 where it does.
"associative" took 1.1 to 3.4 times as long as "deferred" for min_gru and lru from t = 200 to 65,536 and b from 1 to 64:
a CPU has no parallel units to spend on it.

Measured 2026-11-27 on an H100, jax 0.11.2, float32, with a gradient (configs/speed/gpu_methods.py): "associative" took
0.003 to 0.31 of the time of "deferred" for min_gru and lru, and 0.13 to 0.9 of that of "fused"; "fused" 0.20 to 0.31 of
that of "deferred" for LSTM and GRU at 32x100x64x64 and 1x4096x64x64 and LSTM heads of 64 at 16x1024x768x768 (0.21 in
bfloat16); "cudnn" 1.3 to 1.9 times as long as "deferred", which then ran one step an iteration.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnn_jax.methods import deferred, hoisted, native
from rnn_jax.methods.associative import Associative, is_cheap
from rnn_jax.methods.chunked import Chunked, fitting, kept
from rnn_jax.methods.deferred.loop import UNROLL
from rnn_jax.methods.deferred.placement import BILINEAR, ONCE, size
from rnn_jax.methods.deferred.plan import make_plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.methods.fused import Fused
from rnn_jax.methods.widened import widen, widened
from rnn_jax.tracing import Body

SMALL_WEIGHTS, LARGE_STACK, MANY_GATES = 2 * 2**20, 16 * 2**20, 4  # bytes, bytes
LARGE_KEPT = 36 * 2**20  # bytes
HOPPER, KERNEL = (9, 0), Fused(interpret=False, backend="triton")  # the one that was measured


class Choice(NamedTuple):
    """Names of methods, and why."""

    forward: str
    gradient: str
    why: str
    chunk: int = 0  # steps, of "chunked"


def pick(body: Body, length: int, platform: str | None = None) -> Choice:
    """What "auto" means for this step and length. platform: of jax.default_backend() where None."""
    platform = platform or jax.default_backend()
    if platform == "gpu":
        return on_gpu(body, length)
    if platform != "cpu":
        return Choice("deferred", "deferred", f"one product per weight gradient (not measured on a {platform} yet)")
    single = widened(body)
    choice = on_cpu(single or body, length)
    return choice if single is None else choice._replace(why=choice.why + "; in float32, which is faster on a CPU")


def on_cpu(body: Body, length: int) -> Choice:
    plan = make_plan(body, length)
    if not (why := native.unfit(plan)):
        rest = (
            "products of x and weight gradients with it" if native.takes_in(body) else "one product per weight gradient"
        )
        return Choice("native", "native", f"the whole loop is compiled for this CPU, and {rest}")
    choice = by_xla(body, plan, length)
    return choice._replace(why=f"{choice.why} (not native: {why})")


def by_xla(body: Body, plan, length: int) -> Choice:
    products = [e for e in plan.ahead if e.primitive.name in BILINEAR]
    weights = sum(size(a) for e in products for a in e.invars if plan.where.get(a) == ONCE)
    fed = {s.z for s in plan.loop if isinstance(s, Sum) and any(v in plan.loop_ahead for v in s.outside)}
    cuts = [e for e in plan.loop if not isinstance(e, Sum) and e.primitive.name in ("slice", "split")]
    gates = max((sum(len(e.outvars) for e in cuts if e.invars[0] is z) for z in fed), default=0)
    stack = length * sum(size(s.z) for s in plan.loop if isinstance(s, Sum) and s.z in fed)
    chunk, gradient, kept_all = fitting(plan, length), "deferred", kept(plan) * length
    why = "one product per weight gradient"
    if kept_all > LARGE_KEPT and chunk < length and jax.device_count() == 1 and not body.jaxpr.effects:
        gradient = "chunked"
        why += f" and {chunk} steps: the {kept_all / 2**20:.0f} MiB that all {length} keep would not stay in the caches"
    later = any(e.primitive.name in BILINEAR for e in plan.after) or body.jaxpr.effects
    if later or not products or weights > SMALL_WEIGHTS or not (stack >= LARGE_STACK or gates >= MANY_GATES):
        return Choice("deferred", gradient, f"{why}, and one for all inputs", chunk)
    reason = f"{gates} gates are cut from them" if gates >= MANY_GATES else f"they would fill {stack / 2**20:.0f} MiB"
    return Choice("hoisted", gradient, f"{why}; without one, inputs step by step: {reason}", chunk)


def on_gpu(body: Body, length: int) -> Choice:
    if is_cheap(make_plan(body, length)):
        return Choice("associative", "associative", "the step is linear in its carry: all steps in parallel")
    why = f"one product per weight gradient, and {UNROLL['gpu']} steps in each iteration of the loop"
    double = any(v.aval.dtype == jnp.float64 for v in body.jaxpr.invars)
    if jax.device_count() == 1 and capability() >= HOPPER and not double:
        if not (refusal := KERNEL.refuses(body)):
            return Choice("fused", "fused", "the whole loop is one kernel")
        why += f" ({refusal.split('; use method')[0]})"
    return Choice("deferred", "deferred", why)


def capability() -> tuple[int, ...]:
    """Of the first GPU, such as (9, 0)."""
    found = str(getattr(jax.devices()[0], "compute_capability", ""))
    return tuple(map(int, found.split("."))) if found.replace(".", "").isdigit() else ()


def run(body: Body, fixed, carry, xs, length: int, reverse: bool):
    if jax.default_backend() == "cpu" and (single := widened(body)):
        types = [a.aval.dtype for a in body.jaxpr.outvars]
        carry, ys = run(single, *([widen(a) for a in each] for each in (fixed, carry, xs)), length, reverse)
        out = [a.astype(kind) for a, kind in zip([*carry, *ys], types, strict=True)]
        return out[: body.n_carry], out[body.n_carry :]
    choice = pick(body, length)
    methods = {"deferred": deferred.run, "hoisted": hoisted.run, "chunked": Chunked(choice.chunk or None)}
    methods |= {"associative": Associative(), "fused": KERNEL, "native": functools.partial(native.run, strict=False)}
    with_gradient = lambda *args: methods[choice.gradient](body, *args, length, reverse)
    if choice.forward == choice.gradient:
        return with_gradient(fixed, carry, xs)

    @jax.custom_vjp
    def call(fixed, carry, xs):
        return methods[choice.forward](body, fixed, carry, xs, length, reverse)

    call.defvjp(lambda *args: jax.vjp(with_gradient, *args), lambda pull, cotangents: pull(cotangents))
    return call(fixed, carry, xs)
