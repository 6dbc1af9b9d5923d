"""The vanishing-gradient regulariser (Pascanu, Mikolov & Bengio, 2013, section 3.3), for any step."""

import jax
import jax.numpy as jnp


def omega(step, params, states, xs, gradients, bound=1e-20):
    """Omega = mean_k ( |dE/dh_{k+1} dh_{k+1}/dh_k|^2 / |dE/dh_{k+1}|^2 - 1 )^2: least where a step back through time
    changes no norm. A scalar, whose gradient in `params` is the authors': that of the Jacobians dh_{k+1}/dh_k alone.

    states: the state before each step, tree of [t b ...]; gradients: dE/dh of the state after each step, of the same
    form (`hidden_gradients`). Both are constants here, so no gradient travels through time. Norms are of one sequence;
    the mean is over those (k, sequence) where |dE/dh_{k+1}|^2 >= bound.

    Surprise: the paper writes the ratio of norms and a sum over k; the authors' code, whose factor alpha = 2 everyone
    quotes, squares the norms and takes the mean. This is the code's.
    """
    states, xs, gradients = jax.lax.stop_gradient((states, xs, gradients))

    def back(state, x, g):
        return jax.vjp(lambda s: step(params, s, x)[0], state)[1](g)[0]

    after, before = _squares(gradients), _squares(jax.vmap(back)(states, xs, gradients))
    counts = after >= bound
    terms = jnp.where(counts, (before / jnp.where(counts, after, 1) - 1) ** 2, 0)
    return jnp.sum(terms) / jnp.maximum(jnp.sum(counts), 1)


def _squares(tree):
    """[t b]: the squared norm of each sequence's state."""
    return sum(jnp.sum(a**2, axis=tuple(range(2, a.ndim))) for a in jax.tree.leaves(tree))
