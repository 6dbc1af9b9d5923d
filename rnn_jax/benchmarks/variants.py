"""Cells that the engine was not written for, as their papers write them: does any step function run as fast?

Not in the registry; `experiments.speed --config=configs/speed/variants.py` times them. Each has one input share, W_x^T
x_t + b, computed ahead, and mixes what libraries' kernels do not foresee: sums over the units within the step, running
sums, logarithms, memories that are matrices.
"""

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid, softmax

from rnn_jax import cells
from rnn_jax.cells.base import Cell


def _cell(step, width, carries, more=lambda d: {}, recurrent=True) -> Cell:
    """width: pre-activations for d units. carries: the shapes of the leaves for d. more: further parameters, (shape,
    value). recurrent: is there a W_h?"""

    def init(key, n, d, dtype=jnp.float32):
        draw = lambda key, *shape: jax.random.normal(key, shape, dtype) / (2 * shape[0] ** 0.5)
        kx, kh = jax.random.split(key)
        params = {"wx": draw(kx, n, width(d)), "b": jnp.zeros(width(d), dtype)}
        params |= {"wh": draw(kh, d, width(d))} if recurrent else {}
        return params | {k: jnp.full(shape, value, dtype) for k, (shape, value) in more(d).items()}

    def carry(b, d, dtype=jnp.float32):
        return tuple(jnp.zeros((b, *shape), dtype) for shape in carries(d))

    return Cell(init, carry, step)


def _normalised(z, gain, bias):
    """(z - mean) / standard deviation, over the units, times gain, plus bias."""
    mean, variance = jnp.mean(z, -1, keepdims=True), jnp.var(z, -1, keepdims=True)
    return (z - mean) / jnp.sqrt(variance + 1e-3) * gain + bias


def layer_norm_lstm() -> Cell:
    """LSTM with layer normalisation (Ba et al., 2016, arXiv:1607.06450) of W_h^T h, of the input's share and of c_t."""

    def step(p, carry, x):
        h, c = carry
        a = _normalised(x @ p["wx"], p["gx"], p["b"]) + _normalised(h @ p["wh"], p["gh"], 0)
        i, f, g, o = jnp.split(a, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(_normalised(c, p["gc"], p["bc"]))
        return (h, c), h

    gains = lambda d: {"gx": ((4 * d,), 1.0), "gh": ((4 * d,), 1.0), "gc": ((d,), 1.0), "bc": ((d,), 0.0)}
    return _cell(step, lambda d: 4 * d, lambda d: [(d,), (d,)], gains)


def ordered_lstm() -> Cell:
    """ON-LSTM (Shen et al., 2019, arXiv:1810.09536): master gates are running sums of a softmax over the units."""

    def step(p, carry, x):
        h, c = carry
        i, f, g, o, mf, mi = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 6, axis=-1)
        mf, mi = jnp.cumsum(softmax(mf), axis=-1), 1 - jnp.cumsum(softmax(mi), axis=-1)
        both = mf * mi
        c = (sigmoid(f) * both + mf - both) * c + (sigmoid(i) * both + mi - both) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return _cell(step, lambda d: 6 * d, lambda d: [(d,), (d,)])


def slstm() -> Cell:
    """sLSTM (Beck et al., 2024, arXiv:2405.04517, one head): exponential input gate, log f = log s(a), and a stabiliser
    m_t = max(log f + m_{t-1}, log i)."""

    def step(p, carry, x):
        h, c, n, m = carry
        i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=-1)
        log_f = log_sigmoid(f)
        top = jnp.maximum(log_f + m, i)
        i, f = jnp.exp(i - top), jnp.exp(log_f + m - top)
        c, n = f * c + i * jnp.tanh(g), f * n + i
        h = sigmoid(o) * c / n
        return (h, c, n, top), h

    return _cell(step, lambda d: 4 * d, lambda d: [(d,)] * 4)


def mlstm() -> Cell:
    """mLSTM (the same paper, one head, f = s(a), i = exp(min(a, 2))): C_t = f C_{t-1} + i v k^T, n_t = f n_{t-1} + i k;
    h_t = o C_t q / max(|n_t^T q|, 1). Nothing but its memory comes from the step before."""

    def step(p, carry, x):
        memory, n = carry
        a, d = x @ p["wx"] + p["b"], n.shape[-1]
        q, k, v, o = jnp.split(a[:, :-2], 4, axis=-1)
        f, i, k = sigmoid(a[:, -1:]), jnp.exp(jnp.minimum(a[:, -2:-1], 2)), k / d**0.5
        memory = f[..., None] * memory + i[..., None] * jnp.einsum("bi,bj->bij", v, k)
        n = f * n + i * k
        read = jnp.einsum("bij,bj->bi", memory, q)
        h = sigmoid(o) * read / jnp.maximum(jnp.abs(jnp.sum(n * q, -1, keepdims=True)), 1)
        return (memory, n), h

    return _cell(step, lambda d: 4 * d + 2, lambda d: [(d, d), (d,)], recurrent=False)


def fast_weights() -> Cell:
    """Fast weights (Ba et al., 2016, arXiv:1610.06258, one inner step): A_t = 0.95 A_{t-1} + 0.5 h_t h_t^T;
    h_t = tanh(norm(z + A_{t-1} tanh(z))), z = W_x^T x_t + W_h^T h_{t-1} + b."""

    def step(p, carry, x):
        h, fast = carry
        z = x @ p["wx"] + h @ p["wh"] + p["b"]
        h = jnp.tanh(_normalised(z + jnp.einsum("bij,bj->bi", fast, jnp.tanh(z)), p["g"], p["c"]))
        return (h, 0.95 * fast + 0.5 * h[:, :, None] * h[:, None, :]), h

    return _cell(step, lambda d: d, lambda d: [(d,), (d, d)], lambda d: {"g": ((d,), 1.0), "c": ((d,), 0.0)})


def sample_lstm() -> Cell:
    """The LSTM as papers print it, W x_t + U h_{t-1} + b of one sample, under `jax.vmap`: that of `cells.lstm`."""

    def one(p, carry, x):
        h, c = carry
        i, f, g, o = jnp.split(p["w"] @ x + p["u"] @ h + p["b"], 4)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    return _turned(jax.vmap(one, (None, 0, 0)))


def einsum_lstm() -> Cell:
    """The same, each gate by two einsums, a matrix each."""

    def step(p, carry, x):
        h, c = carry
        w, u, b = (p[k].reshape(4, -1, *p[k].shape[1:]) for k in ("w", "u", "b"))
        gate = lambda k: jnp.einsum("ij,bj->bi", w[k], x) + jnp.einsum("ij,bj->bi", u[k], h) + b[k]
        c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * jnp.tanh(gate(2))
        h = sigmoid(gate(3)) * jnp.tanh(c)
        return (h, c), h

    return _turned(step)


def _turned(step) -> Cell:
    """The parameters of `cells.lstm` with their matrices transposed, w [4d n] and u [4d d]."""
    lstm = cells.lstm()

    def init(*args, **kwargs):
        p = lstm.init(*args, **kwargs)
        return {"w": p["wx"].T, "u": p["wh"].T, "b": p["b"]}

    return Cell(init, lstm.carry, step)


KNOWN = {
    f.__name__: f
    for f in (layer_norm_lstm, ordered_lstm, slstm, mlstm, fast_weights, sample_lstm, einsum_lstm)
}  # fmt: skip


def named(name: str) -> Cell:
    """The cell of this name, of the registry or of this file."""
    return getattr(cells, name)() if name in cells.known() else KNOWN[name]()
