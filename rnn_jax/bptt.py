"""Back-propagation through time, written out by hand: for teaching, and as an oracle for everything that is fast.

Nothing here calls autodiff. Of a scalar E(ys, h_T) take `dys` = dE/dys and `dcarry` = dE/d(final carry); each function
runs its cell forward, then backward, and returns (dparams, dcarry0, dxs).

Equations are in column vectors, as in the cells: a_t = W_x^T x_t + W_h^T h_{t-1} + b, so that a row of the code reads
`h @ wh`, and a lecture's W_hh is W_h^T. d v stands for dE/dv over all later steps, and e_t = dE_t/dh_t, row t of `dys`,
is what step t's own output adds. Two facts that lecture notes often have wrong:

    dh_t/dh_{t-1} = diag(s'(a_t)) W_hh                              s' at a_t, and left of W_hh
    dh_t/dh_k     = diag(s'(a_t)) W_hh ... diag(s'(a_{k+1})) W_hh   norm <= (gamma sigma_max(W_hh))^(t-k)

(W_hh^T diag(s'(h_{t-1})) is the transposed Jacobian of another network, h_t = W_hh s(h_{t-1}) + ..., in Pascanu et al.,
2013). The bound is on the largest singular value sigma_max, not the eigenvalue; gamma = max s' is 1 for tanh, whose
derivative lies in (0, 1], and 1/4 for the sigmoid. So gradients surely vanish if sigma_max < 1/gamma.

A weight is used at every step, so its gradient is the sum over steps of its immediate gradient d+,

    dE/dW = sum_t dE_t/dW = sum_t sum_{k<=t} dE_t/dh_t dh_t/dh_k d+h_k/dW = sum_k d+h_k/dW dE/dh_k,

and once the backward loop has stored every d a_k, that sum is ONE contraction over time and batch, after the loop.

The masks, which are those of `rnn_jax.scan`, have a backward pass of their own. A step is: reset, step, freeze,

    u = initial where reset, else h_{t-1};    v = cell(u, x_t);    h_t, y_t = v, v where live, else h_{t-1}, 0
    dv = dh_t + e_t where live, else 0;    du by the cell;    dh_{t-1} = dh_t where frozen, 0 where reset, else du
    d initial = sum over resets of du

lengths int [b]: step t of a sequence is live while t < length. resets bool [t b]: a document's first step; a mark at or
past the length counts for nothing. initial: what the carry is reset to, of the structure of `carry`; by default the
`carry` argument itself, and then dcarry0 includes d initial. The gradient of an `initial` you give is not returned.
reverse: time runs from the end, each sequence within its own length, each document from its last step to its first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.nn import sigmoid

DERIVATIVES = {  # s -> s'(a), given the pre-activation a and the output h = s(a)
    jnp.tanh: lambda a, h: (1 + h) * (1 - h),
    sigmoid: lambda a, h: h * (1 - h),
    jax.nn.relu: lambda a, h: (a > 0).astype(a.dtype),  # 0 at the kink
    jax.nn.identity: lambda a, h: jnp.ones_like(a),
}


def vanilla(
    params, carry, xs, dys, dcarry, *, lengths=None, resets=None, initial=None, reverse=False, activation=jnp.tanh
):
    """Gradients of h_t = s(a_t), a_t = W_x^T x_t + W_h^T h_{t-1} + b (`cells.vanilla`, `cells.irnn`).

    dh_t = e_t + W_h da_{t+1} = dE_t/dh_t + W_hh^T diag(s'(a_{t+1})) dE/dh_{t+1};    da_t = s'(a_t) dh_t
    dW_x = sum_t x_t da_t^T;    dW_h = sum_t h_{t-1} da_t^T;    db = sum_t da_t;    dx_t = W_x da_t

    xs [t b n], dys [t b d], carry and dcarry h [b d]. `activation`: a key of DERIVATIVES, or a pair (s, ds) with
    ds(a, h) the derivative of s at a, where h = s(a). Masks: see the module. Returns (dparams, dcarry0, dxs).
    """
    s, ds = activation if isinstance(activation, tuple) else (activation, _derivative(activation))
    wh = params["wh"]

    def forward(h0, a):
        a = a + h0 @ wh
        h = s(a)
        return h, (h0, a, h)

    def backward(saved, dh, e):
        _, a, h = saved
        da = ds(a, h) * (dh + e)
        return da @ wh.T, da

    (h0, _, _), da, dparams, dcarry0, dxs = _through_time(
        forward, backward, params, carry, xs, dys, dcarry, lengths, resets, initial, reverse
    )
    return dparams | {"wh": _outer(h0, da)}, dcarry0, dxs


def lstm(params, carry, xs, dys, dcarry, *, lengths=None, resets=None, initial=None, reverse=False):
    """Gradients of i, f, o = s(a), g = tanh(a), c_t = f c_{t-1} + i g, h_t = o tanh(c_t) (`cells.lstm`).

    dh_t = e_t + W_h da_{t+1};    dc_t = f_{t+1} dc_{t+1} + o (1 - tanh(c_t)^2) dh_t
    da_i = i (1 - i) g dc_t;    da_f = f (1 - f) c_{t-1} dc_t
    da_g = (1 - g^2) i dc_t;    da_o = o (1 - o) tanh(c_t) dh_t
    dW_x = sum_t x_t da_t^T;    dW_h = sum_t h_{t-1} da_t^T;    db = sum_t da_t;    dx_t = W_x da_t

    Along c alone the error is multiplied by f and by nothing else: with f = 1 it is carried unchanged for ever.
    xs [t b n], dys [t b d], carry and dcarry (h, c). Masks: see the module. Returns (dparams, dcarry0, dxs).
    """
    wh = params["wh"]

    def forward(carry, a):
        h0, c0 = carry
        i, f, g, o = jnp.split(a + h0 @ wh, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        c = f * c0 + i * g
        return (o * jnp.tanh(c), c), (h0, c0, i, f, g, o, jnp.tanh(c))

    def backward(saved, dcarry, e):
        _, c0, i, f, g, o, tanh_c = saved
        dh, dc = dcarry
        dh = dh + e
        dc = dc + dh * o * (1 - tanh_c**2)
        di, df, dg, do = dc * g, dc * c0, dc * i, dh * tanh_c
        da = jnp.concatenate([di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=-1)
        return (da @ wh.T, dc * f), da

    saved, da, dparams, dcarry0, dxs = _through_time(
        forward, backward, params, carry, xs, dys, dcarry, lengths, resets, initial, reverse
    )
    return dparams | {"wh": _outer(saved[0], da)}, dcarry0, dxs


def gru(params, carry, xs, dys, dcarry, *, lengths=None, resets=None, initial=None, reverse=False, reset_after=False):
    """Gradients of h_t = (1 - z) h_{t-1} + z n, with r, z = s(a) and n = tanh(a) (`cells.gru`, both forms).

    With the blocks W_h = [R Z N], a = [a_r a_z a_n], and dh_t = e_t + dh_t', where dh_{t-1}' is what step t sends back,

    da_z = z (1 - z) (n - h_{t-1}) dh_t;    da_n = (1 - n^2) z dh_t;    da_r = r (1 - r) dr, and in the form
    reset_after=False:  m = r h_{t-1};  dm = N da_n;  dr = h_{t-1} dm
                        dh_{t-1}' = (1 - z) dh_t + R da_r + Z da_z + r dm
                        d[R Z] = sum_t h_{t-1} [da_r da_z]^T;    dN = sum_t m da_n^T
    reset_after=True:   m = N^T h_{t-1} + b_hn;  dr = m da_n;  du = [da_r da_z (r da_n)]
                        dh_{t-1}' = (1 - z) dh_t + W_h du
                        dW_h = sum_t h_{t-1} du^T;    db_h = sum_t du
    dW_x = sum_t x_t da_t^T;    db = sum_t da_t;    dx_t = W_x da_t

    xs [t b n], dys [t b d], carry and dcarry h [b d]. Masks: see the module. Returns (dparams, dcarry0, dxs).
    """
    wh = params["wh"]
    d = wh.shape[0]

    def forward(h0, a):
        if reset_after:
            u = h0 @ wh + params["bh"]
            r, z = jnp.split(sigmoid(a[:, : 2 * d] + u[:, : 2 * d]), 2, axis=-1)
            m = u[:, 2 * d :]
            n = jnp.tanh(a[:, 2 * d :] + r * m)
        else:
            r, z = jnp.split(sigmoid(a[:, : 2 * d] + h0 @ wh[:, : 2 * d]), 2, axis=-1)
            m = r * h0
            n = jnp.tanh(a[:, 2 * d :] + m @ wh[:, 2 * d :])
        return (1 - z) * h0 + z * n, (h0, r, z, n, m)

    def backward(saved, dh, e):
        h0, r, z, n, m = saved
        dh = dh + e
        da_z = dh * (n - h0) * z * (1 - z)
        da_n = dh * z * (1 - n**2)
        if reset_after:
            da_r = da_n * m * r * (1 - r)
            dh0 = dh * (1 - z) + jnp.concatenate([da_r, da_z, r * da_n], axis=-1) @ wh.T
        else:
            dm = da_n @ wh[:, 2 * d :].T
            da_r = dm * h0 * r * (1 - r)
            dh0 = dh * (1 - z) + jnp.concatenate([da_r, da_z], axis=-1) @ wh[:, : 2 * d].T + r * dm
        return dh0, jnp.concatenate([da_r, da_z, da_n], axis=-1)

    (h0, r, _, _, m), da, dparams, dcarry0, dxs = _through_time(
        forward, backward, params, carry, xs, dys, dcarry, lengths, resets, initial, reverse
    )
    da_rz, da_n = da[..., : 2 * d], da[..., 2 * d :]
    if reset_after:
        du = jnp.concatenate([da_rz, r * da_n], axis=-1)
        return dparams | {"wh": _outer(h0, du), "bh": du.sum((0, 1))}, dcarry0, dxs
    dwh = jnp.concatenate([_outer(h0, da_rz), _outer(m, da_n)], axis=-1)
    return dparams | {"wh": dwh}, dcarry0, dxs


def _derivative(activation):
    if activation not in DERIVATIVES:
        known = ", ".join(f.__name__ for f in DERIVATIVES)
        raise ValueError(
            f"bptt.vanilla: no derivative of {activation} is written down here, only of {known}; "
            "pass the pair activation=(s, ds), where ds(a, h) is s'(a) and h = s(a)"
        )
    return DERIVATIVES[activation]


def _outer(u, v):
    """sum over t and b of u v^T: [t b p], [t b q] -> [p q]."""
    return jnp.einsum("tbp,tbq->pq", u, v)


def _where(mask, tree, other):
    return jax.tree.map(lambda p, q: jnp.where(mask, p, q), tree, other)


def _masks(xs, lengths, resets, reverse):
    """live, reset: bool [t b 1]. A reset is always at a live step, so backward need not ask for both."""
    t, b = xs.shape[:2]
    for what, value, shape in (("lengths [b]", lengths, (b,)), ("resets [t b]", resets, (t, b))):
        if value is not None and jnp.shape(value) != shape:
            raise ValueError(f"bptt: {what} has the shape {jnp.shape(value)}; these xs {xs.shape} need {shape}")
    live = jnp.broadcast_to(jnp.arange(t)[:, None] < (t if lengths is None else jnp.asarray(lengths)), (t, b))
    reset = live & (False if resets is None else jnp.asarray(resets, bool))
    if reverse:  # a document ends, so its reversal starts, one step before the next one's mark
        reset = jnp.concatenate([reset[1:], jnp.zeros_like(reset[:1])])
    return live[..., None], reset[..., None]


def _through_time(forward, backward, params, carry, xs, dys, dcarry, lengths, resets, initial, reverse):
    """Both loops, with the masks, for any cell with the pre-activation a_t = W_x^T x_t + b + (what h_{t-1} gives).

    forward(carry, W_x^T x_t + b) -> (carry, saved);    backward(saved, dcarry, e_t) -> (dcarry of step t-1, da_t)
    Returns saved [t ...], da [t b g*d], {"wx": dW_x, "b": db}, dcarry0, dxs.
    """
    live, reset = _masks(xs, lengths, resets, reverse)
    xs, dys = jnp.where(live, xs, 0), jnp.where(live, dys, 0)  # 0 * NaN is NaN: whatever padding holds must not get in
    start = carry if initial is None else initial

    def forward_step(carry, at):
        a, live, reset = at
        after, saved = forward(_where(reset, start, carry), a)
        return _where(live, after, carry), saved

    _, saved = lax.scan(forward_step, carry, (xs @ params["wx"] + params["b"], live, reset), reverse=reverse)
    zero = jax.tree.map(jnp.zeros_like, dcarry)

    def backward_step(state, at):
        dcarry, dstart = state
        saved, e, live, reset = at
        dused, da = backward(saved, _where(live, dcarry, zero), e)
        dstart = jax.tree.map(jnp.add, dstart, _where(reset, dused, zero))
        return (_where(live, _where(reset, zero, dused), dcarry), dstart), da

    (dcarry0, dstart), da = lax.scan(backward_step, (dcarry, zero), (saved, dys, live, reset), reverse=not reverse)
    if initial is None:
        dcarry0 = jax.tree.map(jnp.add, dcarry0, dstart)
    return saved, da, {"wx": _outer(xs, da), "b": da.sum((0, 1))}, dcarry0, da @ params["wx"].T


def numeric_gradient(f, x, eps=1e-5, *, chunk=256):
    """dE/dx_i ~ (f(x + eps e_i) - f(x - eps e_i)) / (2 eps), for every float element x_i of the pytree x.

    f: pytree -> real scalar, traceable by jit and vmap: `chunk` elements are tried at once, each with a copy of x.
    Returns a pytree like x; integer, bool and key leaves become float0 zeros, as `jax.grad(allow_int=True)` gives them.
    The error is about eps^2 f'''/6 + 1e-16 |f| / eps, or 1e-10 in float64; float32 would leave 1e-2, so it is refused.
    Where a kink (relu) lies within eps of x the result is a mean of both sides' slopes.
    """
    leaves, tree = jax.tree.flatten(x)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    moved = [k for k, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    out = jax.eval_shape(f, tree.unflatten(leaves))
    if getattr(out, "shape", None) != ():
        raise ValueError(f"numeric_gradient: f must return one scalar, not {out}")
    dtypes = [(f"the leaf of shape {leaves[k].shape}", leaves[k].dtype) for k in moved]
    for what, dtype in [*dtypes, ("f(x)", out.dtype)]:
        if dtype != jnp.float64:
            raise ValueError(
                f"numeric_gradient: {what} is {dtype}, and differences need float64; "
                'call jax.config.update("jax_enable_x64", True) and make every float float64 (complex: two real arrays)'
            )
    flat, unravel = ravel_pytree([leaves[k] for k in moved])

    def like_x(flat, others):
        new = dict(zip(moved, unravel(flat), strict=True))
        return tree.unflatten([new.get(k, other) for k, other in enumerate(others)])

    def slope(i):
        step = eps * (jnp.arange(flat.size) == i)
        return (f(like_x(flat + step, leaves)) - f(like_x(flat - step, leaves))) / (2 * eps)

    slopes = jax.jit(lambda i: lax.map(slope, i, batch_size=chunk))(jnp.arange(flat.size))
    return like_x(slopes, [np.zeros(leaf.shape, jax.dtypes.float0) for leaf in leaves])
