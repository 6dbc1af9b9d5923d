"""Values many times larger than what they are made of, the scores of all keys in attention: not stored for all steps,
their weights' gradients summed in turn, and sums over keys taken as products. The same numbers, in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree, gradients, normal

from rnn_jax import attention, scan
from rnn_jax.methods.deferred import layout
from rnn_jax.methods.deferred.placement import weight_of
from rnn_jax.methods.deferred.plan import make_plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.tracing import inner_jaxprs, trace

S, B, D, T = 24, 3, 5, 6
LENGTHS = {"lengths": np.array([6, 0, 3])}
RESETS = {"resets": np.random.default_rng(0).random((T, B)) < 0.3, "reverse": True}
ON_CPU = pytest.mark.skipif(jax.default_backend() != "cpu", reason="a CPU's choice")


def reads(kind):
    """A decoder without frills: a tanh layer that reads keys under attention."""

    def step(params, h, x):
        context, _ = getattr(attention, kind)(h, params["keys"], params["keys"][..., 0] > -1, **params["attention"])
        h = jnp.tanh(x @ params["wx"] + h @ params["wh"] + context @ params["wc"])
        return h, (h, context)

    return step


def own(params, h, x):
    """Nobody's attention: an exponential of all keys, of which a weight of their own size makes one number each."""
    e = jnp.exp(-jnp.square(h[None] @ params["wh"] + params["keys"]))
    h = jnp.tanh(x @ params["wx"] + jnp.tensordot(params["big"], e, 2) + jnp.sum(jax.nn.softmax(e @ params["v"], 0)))
    return h, (e @ params["v"]).T


STEPS = {kind: reads(kind) for kind in attention.KINDS} | {"own": own}


def problem(kind, s=S, b=B, d=D, t=T):
    weights = {"wx": normal(0, d, d), "wh": normal(1, d, d), "keys": normal(2, s, b, d)}
    if kind == "own":
        weights |= {"v": normal(3, d), "big": normal(4, s, b) / s}
    else:
        made = attention.init(kind, jax.random.key(0), d, d, d, weights["keys"].dtype)
        weights |= {"wc": normal(5, d, d), "attention": made}
    return weights, normal(6, b, d), normal(7, t, b, d)


def plan_of(kind):
    args = problem(kind)
    traced = trace(STEPS[kind], args[0], args[1], jax.typeof(args[2][0]), taps={}, collect=[], active=None, reset=None)
    return make_plan(traced.body, T)


def deferred(plan):
    """The shapes of the weights whose gradients are products after the loop."""
    products = [(e, weight_of(e, plan.where)) for s in plan.loop if isinstance(s, Sum) for e in s.products]
    return [e.invars[w].aval.shape for e, w in products if w is not None]


@pytest.mark.usefixtures("x64", "quick_compilation")
@pytest.mark.parametrize("masks", [{}, LENGTHS, RESETS], ids=["full", "lengths", "resets"])
@pytest.mark.parametrize("kind", STEPS)
def test_equal_to_reference(kind, masks):
    args = STEPS[kind], *problem(kind)
    agree(gradients(*args, method="deferred", **masks), gradients(*args, method="reference", **masks), 1e-11)


@pytest.mark.usefixtures("x64", "quick_compilation")
def test_derivatives_of_second_order_and_under_vmap():
    params, h, xs = problem("additive")
    first = lambda method: jax.grad(lambda p: jnp.sum(jnp.sin(scan(STEPS["additive"], p, h, xs, method=method)[1][0])))
    twice = lambda method: jax.grad(
        lambda p: sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(first(method)(p)))
    )(params)  # fmt: skip
    agree(twice("deferred"), twice("reference"), 1e-10)
    many = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    agree(jax.vmap(first("deferred"))(many), jax.vmap(first("reference"))(many), 1e-11)


@ON_CPU
@pytest.mark.usefixtures("x64")
def test_what_is_spread_out(monkeypatch):
    plan = plan_of("additive")
    large = lambda plan: {v.aval.shape for v in plan.spread if v.aval.ndim == 3}
    assert large(plan) == {(S, B, D)}
    assert (D,) not in deferred(plan) and (D, D) in deferred(plan)
    assert not large(plan_of("dot")), "its scores are one number a key"
    assert (S, B) in deferred(plan_of("own")), "a weight of the operand's size is better deferred"
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert (D,) in deferred(plan_of("additive")), "summed in turn over two devices is an all-reduce in each step"


@ON_CPU
def test_memory_without_the_scores_of_all_keys():
    params, h, xs = jax.tree.map(lambda a: a.astype(jnp.float32), problem("additive", s=200, b=8, d=32, t=100))

    def temporaries(method):
        loss = lambda p: jnp.sum(scan(STEPS["additive"], p, h, xs, method=method)[0])
        return jax.jit(jax.grad(loss)).lower(params).compile().memory_analysis().temp_size_in_bytes

    scores = 4 * 100 * 200 * 8 * 32
    assert temporaries("deferred") < scores / 4 and temporaries("reference") > scores


def sums(jaxpr):
    """The shapes of results of sums over a leading axis, within all loops."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "reduce_sum" and eqn.params["axes"] == (0,):
            yield eqn.outvars[0].aval.shape
        for inner in inner_jaxprs(eqn):
            yield from sums(inner)


@ON_CPU
def test_sums_over_keys_are_products(monkeypatch):
    params, h, xs = jax.tree.map(lambda a: a.astype(jnp.float32), problem("additive", b=64, d=64))
    step = STEPS["additive"]

    def gradient(params):
        loss = lambda p: jnp.sum(jnp.square(scan(step, p, h, xs, method="deferred")[1][0]))
        return jax.grad(loss)(params)

    found = gradient(params)
    assert (64, 64) not in list(sums(jax.make_jaxpr(gradient)(params).jaxpr))
    monkeypatch.setattr(layout, "LONG", 10**9)
    plain = lambda p: jnp.sum(jnp.square(scan(lambda *a: step(*a), p, h, xs, method="deferred")[1][0]))
    assert (64, 64) in list(sums(jax.make_jaxpr(jax.grad(plain))(params).jaxpr))
    agree(found, jax.grad(plain)(params), 1e-5)
