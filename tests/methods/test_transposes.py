"""However a product with a weight is written, it is that of rows, h @ W, and equal to the reference."""

import jax
import jax.numpy as jnp
import pytest
from scan_problems import agree, gradients, normal

from rnn_jax import cells
from rnn_jax.methods import native
from rnn_jax.methods.deferred.placement import LOOP, ONCE, is_plain, is_product
from rnn_jax.methods.deferred.plan import make_plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.tracing import trace

T, B, N, D = 4, 3, 5, 6


def lstm(gates):
    def step(p, carry, x):
        h, c = carry
        i, f, g, o = gates(p, h, x)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return step


def each(p, h, x):
    of = lambda w, k: w.reshape(4, D, -1)[k]
    product = lambda w, h: jnp.einsum("ij,bj->bi", w, h)
    return [product(of(p["wx"], k), x) + product(of(p["wh"], k), h) + p["b"].reshape(4, D)[k] for k in range(4)]


one = lstm(lambda p, h, x: jnp.split(p["wx"] @ x + p["wh"] @ h + p["b"], 4))
WAYS = {
    "rows": lstm(lambda p, h, x: jnp.split(x @ p["wx"].T + h @ p["wh"].T + p["b"], 4, -1)),
    "a sample": jax.vmap(one, (None, 0, 0)),
    "a sample, rows of it": jax.vmap(
        lstm(lambda p, h, x: jnp.split(x @ p["wx"].T + h @ p["wh"].T + p["b"], 4)), (None, 0, 0)
    ),
    "columns": lstm(lambda p, h, x: jnp.split((p["wx"] @ x.T + p["wh"] @ h.T + p["b"][:, None]).T, 4, -1)),
    "columns, cut": lstm(lambda p, h, x: [a.T for a in jnp.split(p["wx"] @ x.T + p["wh"] @ h.T + p["b"][:, None], 4)]),
    "joined": lstm(
        lambda p, h, x: jnp.split((jnp.hstack([p["wx"], p["wh"]]) @ jnp.vstack([x.T, h.T])).T + p["b"], 4, -1)
    ),
    "einsum": lstm(
        lambda p, h, x: jnp.split(
            jnp.einsum("ij,bj->bi", p["wx"], x) + jnp.einsum("ij,bj->bi", p["wh"], h) + p["b"], 4, -1
        )
    ),
    "each gate": lstm(each),
}  # fmt: skip


def with_mean(p, h, x):
    """Columns, and a column for all rows."""
    a = p["wx"] @ x.T + p["wh"] @ h.T + (p["wh"] @ jnp.mean(h, 0))[:, None]
    return jnp.split(a.T, 4, -1)


def last(p, h, x):
    """A state that has its rows last: its products have the weight first, and stay so."""
    h = jnp.tanh(p["w"] @ x.T + p["u"].T @ h + p["u"] @ h + p["b"][:, None])
    return h, h


def gates_of_wide(p, h, x):
    """All gates by weights of three axes, w [n 4 d] and u [4 d d]."""
    a = jnp.einsum("bn,ngd->bgd", x, p["w"]) + jnp.einsum("gdk,bk->bgd", p["u"], h) + p["b"]
    return jnp.moveaxis(a, 1, 0)


def gates_in_front(p, h, x):
    """The same gates as [4 b d], and something of each row's sum and maximum."""
    a = jnp.einsum("bn,ngd->gbd", x, p["w"]) + jnp.einsum("gdk,bk->gbd", p["u"], h) + p["b"][:, None]
    i, f, g, o = a
    return i + a.sum(0), f, g, o * a[0].T.max(0)[:, None]


def plan_of(step, params, carry, xs, inside=False):
    return make_plan(trace(step, params, carry, xs[0], taps={}, collect=[], active=None, reset=None).body, T, inside)


def with_heads():
    cell, carry = cells.heads_lstm(head=2), (normal(3, B, 3, 2), normal(4, B, 3, 2))
    return cell.step, cell.init(jax.random.key(0), N, D), carry, normal(5, T, B, N)


def with_wide_weights(gates=gates_of_wide):
    p = {"w": normal(0, N, 4, D), "u": normal(1, 4, D, D), "b": normal(2, 4, D)}
    return lstm(gates), p, (normal(3, B, D), normal(4, B, D)), normal(5, T, B, N)


def products(plan):
    return [e for i in plan.loop for e in (i.products if isinstance(i, Sum) else [i]) if is_product(e)]


def transposes(plan):
    return [e for e in [*plan.ahead, *plan.loop] if not isinstance(e, Sum) and e.primitive.name == "transpose"]


def problem():
    params = {"wx": normal(0, 4 * D, N), "wh": normal(1, 4 * D, D), "b": normal(2, 4 * D)}
    return params, (normal(3, B, D), normal(4, B, D)), normal(5, T, B, N)


@pytest.mark.parametrize("way", WAYS)
def test_a_product_is_one_of_rows(way):
    """Nothing is transposed at any step, and the products are those that "native" takes with their weight gradients."""
    plan = plan_of(WAYS[way], *problem())
    assert not transposes(plan)
    assert len(products(plan)) == (4 if way == "each gate" else 1)
    assert all(is_plain(e, 1) for e in products(plan))


def test_heads_are_one_sum():
    """The product of heads is added to x in the order of x: one stored value, and one gradient of both."""
    plan = plan_of(*with_heads())
    assert not transposes(plan) and [len(i.products) for i in plan.loop if isinstance(i, Sum)] == [1]


@pytest.mark.parametrize("problem", [with_heads, with_wide_weights, lambda: with_wide_weights(gates_in_front)])
def test_weights_of_three_axes_are_matrices_in_a_loop_of_machine_code(problem):
    """A product of x, and one of h, or one for each head: all of them with their weight gradients in the loop."""
    plan = plan_of(*problem(), inside=True)
    assert not transposes(plan) and all(is_plain(e, 1) for e in products(plan))
    assert len(products(plan)) == (4 if problem is with_heads else 2)


def test_rows_that_come_last_stay_there():
    weights = {"w": normal(0, D, N), "u": normal(1, D, D), "b": normal(2, D)}
    plan = plan_of(last, weights, normal(3, D, B), normal(4, T, B, N))
    assert [plan.where[a] for e in products(plan) for a in e.invars] == [ONCE, LOOP] * 2


@pytest.mark.usefixtures("x64", "quick_compilation")
@pytest.mark.parametrize("method", ["deferred", "native"])
@pytest.mark.parametrize("way", [*WAYS, "last", "heads", "wide", "in front", "mean"])
def test_equals_the_reference(way, method, monkeypatch):
    monkeypatch.setattr(native, "ROWS", 0)  # so few rows would not have weight gradients in the loop
    if way == "last":
        weights = {"w": normal(0, D, N), "u": normal(1, D, D), "b": normal(2, D)}
        step, *args = last, weights, normal(3, D, B), normal(4, T, B, N)
    elif way in ("heads", "wide", "in front"):
        kinds = {"wide": gates_of_wide, "in front": gates_in_front}
        step, *args = with_heads() if way == "heads" else with_wide_weights(kinds[way])
    else:
        step, *args = WAYS.get(way, lstm(with_mean)), *problem()
    args = jax.tree.map(lambda a: a.astype(float), args)
    agree(gradients(step, *args, method=method), gradients(step, *args, method="reference"))
