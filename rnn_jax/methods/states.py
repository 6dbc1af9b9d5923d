"""What the methods that are parallel in time share: states as blocks, their Jacobians, and what a step may not do."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import math

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.methods.deferred.placement import is_float, random_in_batch_differs
from rnn_jax.methods.deferred.plan import Plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.tracing import vary


def demand_parallel(plan: Plan, method: str):
    """A step that is evaluated for all t at once, and more than once, is smooth, without effects, and draws no numbers
    that would differ then."""
    body, flat = plan.body, [e for i in plan.loop for e in (i.products if isinstance(i, Sum) else [i])]
    carry = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    if whole := [v.aval for v in carry if not is_float(v)]:
        raise ValueError(
            f"{method}: every leaf of the carry must be float, one is {whole[0].dtype}{list(whole[0].shape)}; "
            'pass what does not depend on the state as xs, or use method="deferred"'
        )
    if any(e.effects for e in flat):
        raise ValueError(f'{method}: the step has callbacks or prints, which need its order; use method="deferred"')
    if any(random_in_batch_differs(e) for e in flat):
        raise ValueError(f'{method}: keys of the rbg kinds draw other numbers in a batch; use method="deferred"')


def nothing(carry) -> bool:
    """No state to solve for: no leaf, or no row. Then the loop does as well."""
    return not any(a.size for a in carry)


class Layout:
    """The leaves of a carry as [rows units k], on whose blocks k by k a Jacobian is taken.

    Rows are the leading axis, where all leaves share one (and have more), else 1. kind "full": one unit, k is all of a
    row. "units": k is the value of each leaf at a unit, where all leaves have one shape; else k = 1.
    """

    def __init__(self, leaves, kind):
        self.avals = [jax.typeof(a) for a in leaves]
        self.dtype = jnp.result_type(*(a.dtype for a in leaves), jnp.float32)  # a weak type would yield to float32
        leading = {a.shape[0] if a.ndim > 1 else 1 for a in leaves}
        self.rows = leading.pop() if len(leading) == 1 else 1
        self.widths = [math.prod(a.shape) // max(self.rows, 1) for a in leaves]
        self.stacked = kind == "units" and len({a.shape for a in leaves}) == 1
        self.full = kind == "full"
        narrow = min((a.dtype for a in leaves), key=lambda d: jnp.finfo(d).bits)
        self.resolution = float(jnp.finfo(narrow).eps) * (32 if jnp.finfo(narrow).bits >= 32 else 4)

    def pack(self, leaves):
        flat = [a.reshape(self.rows, w).astype(self.dtype) for a, w in zip(leaves, self.widths, strict=True)]
        if self.stacked:
            return jnp.stack(flat, axis=-1)
        flat = jnp.concatenate(flat, axis=-1)
        return flat[:, None, :] if self.full else flat[:, :, None]

    def unpack(self, packed):
        if self.stacked:
            flat = [packed[..., i] for i in range(len(self.avals))]
        else:
            packed, starts = packed.reshape(self.rows, -1), [sum(self.widths[:i]) for i in range(len(self.widths))]
            flat = [packed[:, s : s + w] for s, w in zip(starts, self.widths, strict=True)]
        return [f.reshape(v.shape).astype(v.dtype) for f, v in zip(flat, self.avals, strict=True)]

    def jacobian(self, f, state):
        """The diagonal blocks [rows units k k] of df/dstate, f on packed states, row by row: in reverse mode, which a
        step with a gradient rule of its own (`jax.custom_vjp`) has, where it has no forward mode."""
        _, units, k = state.shape
        out, pull = jax.vjp(f, state)

        def of_unit(unit):
            here = jnp.arange(units)[:, None] == unit
            row = lambda e: pull(vary(jnp.broadcast_to(jnp.where(here, e, 0), state.shape), jax.typeof(out)))[0]
            rows = jax.vmap(row)(jnp.eye(k, dtype=state.dtype))  # [k rows units k]
            return jnp.moveaxis(lax.dynamic_index_in_dim(rows, unit, 2, keepdims=False), 0, -2)

        if units == 1:
            return of_unit(0)[:, None]
        return jnp.moveaxis(lax.map(of_unit, jnp.arange(units), batch_size=8), 0, 1)

    def elementwise_jacobian(self, f, state):
        """The same where no unit depends on another: one column of all blocks at a time."""
        tangent = lambda e: vary(jnp.broadcast_to(e, state.shape), jax.typeof(state))
        push = lambda e: jax.jvp(f, (state,), (tangent(e),))[1]
        return jnp.moveaxis(jax.vmap(push)(jnp.eye(state.shape[-1], dtype=state.dtype)), 0, -1)
