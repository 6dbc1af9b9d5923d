"""The optax chain that a config names: clip, then the method, with its learning rate from a schedule.

config.optimizer: name, rate, schedule, clip, threshold, and the numbers that METHODS and SCHEDULES list for the chosen
names. Every number stands in the config; one that is missing is an error which says so, never a silent default. A
section config.optimizer.factors, {"skew": 0.1}, is the one part that may be absent: factors of the rate of the
parameters of that name.
"""

import difflib

import jax
import jax.numpy as jnp
import optax

from rnn_jax.train.errors import UserError

METHODS = {  # name: (config keys, (rate, *numbers) -> transformation)
    "sgd": ((), optax.sgd),
    "momentum": (("momentum",), lambda rate, m: optax.sgd(rate, momentum=m)),  # v = m v + g; no dampening
    "nesterov": (("momentum",), lambda rate, m: optax.sgd(rate, momentum=m, nesterov=True)),
    # g / sqrt(sum g^2 + eps), the sum starting at `accumulator`
    "adagrad": (("accumulator", "eps"), lambda rate, a, e: optax.adagrad(rate, initial_accumulator_value=a, eps=e)),
    # v = alpha v + (1 - alpha) g^2 from v = 0, uncorrected, and g / (sqrt(v) + eps): torch, char-rnn. optax's own
    # default puts eps inside the root, which at v = 0 is a step 10^4 times smaller for eps = 1e-8.
    "rmsprop": (("alpha", "eps"), lambda rate, a, e: optax.rmsprop(rate, a, e, initial_scale=0.0, eps_in_sqrt=False)),
    "adam": (("b1", "b2", "eps"), optax.adam),
    # decays every parameter, biases too; rate * weight_decay * w, as in torch
    "adamw": (
        ("b1", "b2", "eps", "weight_decay"),
        lambda rate, b1, b2, e, w: optax.adamw(rate, b1, b2, e, weight_decay=w),
    ),
}


def _constant(rate, steps):
    del steps
    return rate


def _cosine(rate, steps, warmup, final_rate):
    def schedule(count):
        done = jnp.clip((count - warmup) / max(1, steps - warmup), 0, 1)
        fall = final_rate + (rate - final_rate) * 0.5 * (1 + jnp.cos(jnp.pi * done))
        return jnp.where(count < warmup, rate * (count + 1) / max(1, warmup), fall)  # the first step is not lost to 0

    return schedule


def _stepwise(rate, steps, decay_factor, decay_every, decay_after):
    del steps

    def schedule(count):
        times = jnp.where(count >= decay_after, (count - decay_after) // decay_every + 1, 0)
        return rate * decay_factor ** times.astype(jnp.float32)

    return schedule


SCHEDULES = {  # name: (config keys, (rate, steps, *numbers) -> rate or count -> rate); count = updates already made
    "constant": ((), _constant),
    # linear warm-up over `warmup` steps, then half a cosine down to final_rate at the last step
    "cosine": (("warmup", "final_rate"), _cosine),
    # rate * factor^k: k = 1 once `decay_after` updates are made, one more every `decay_every`. char-rnn: 0.97, one
    # epoch, ten epochs.
    "stepwise": (("decay_factor", "decay_every", "decay_after"), _stepwise),
}

CLIPS = {  # name: threshold -> transformation
    "none": lambda threshold: optax.identity(),
    "norm": optax.clip_by_global_norm,  # Pascanu et al. (2013), Algorithm 1: g * threshold / |g| where |g| >= threshold
    "value": optax.clip,  # each entry into [-threshold, threshold]: char-rnn, Karpathy's min-char-rnn
}


def meanings() -> dict[str, str]:
    """What the keys of config.optimizer mean: the names there are, and which of them read a number."""
    tables = {"name": METHODS, "schedule": SCHEDULES, "clip": CLIPS}
    said = {key: ", ".join(table) for key, table in tables.items()}
    said |= {"rate": "the learning rate", "threshold": f"of clip={', '.join(k for k in CLIPS if k != 'none')}"}
    for key, table in (("name", METHODS), ("schedule", SCHEDULES)):
        for number in dict.fromkeys(n for numbers, _ in table.values() for n in numbers):
            said[number] = f"of {key}={', '.join(k for k, (numbers, _) in table.items() if number in numbers)}"
    return {f"optimizer.{key}": meaning for key, meaning in said.items()}


def build(config) -> optax.GradientTransformation:
    """The chain for config.optimizer; config.steps is the length of a cosine."""
    want = config.optimizer
    keys, method = _pick(METHODS, want, "name")
    schedule_keys, schedule = _pick(SCHEDULES, want, "schedule")
    clip = _pick(CLIPS, want, "clip")
    numbers = _numbers(want, want.name, ("rate", *keys))
    if not numbers[0] >= 0:
        raise UserError(f"config.optimizer.rate={numbers[0]}: want a number that is not negative")
    (threshold,) = _numbers(want, f"clip={want.clip}", ("threshold",) if want.clip != "none" else ()) or (0.0,)
    if want.clip != "none" and not threshold > 0:
        raise UserError(f"config.optimizer.threshold={threshold}: want a positive number, or clip=none")
    rate = schedule(numbers[0], config.steps, *_numbers(want, f"schedule={want.schedule}", schedule_keys))
    chain = optax.chain(clip(threshold), method(rate, *numbers[1:]))
    return optax.chain(chain, _by_name(want.factors.to_dict())) if "factors" in want else chain


def _by_name(factors):
    """Multiplies the update of each parameter by the factor of its name, the last key of its path; others stay."""

    def name(path):
        return str(getattr(path[-1], "key", getattr(path[-1], "idx", ""))) if path else ""

    def init(params):
        names = {name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)}
        if absent := sorted(set(factors) - names):
            raise UserError(
                f"config.optimizer.factors: no parameter {absent[0]!r}; there are {', '.join(sorted(names))}"
            )
        return optax.EmptyState()

    def update(updates, state, params=None):
        del params
        scale = lambda path, u: u * factors[name(path)] if name(path) in factors else u
        return jax.tree_util.tree_map_with_path(scale, updates), state

    return optax.GradientTransformation(init, update)


def _pick(table, want, key):
    (value,) = _numbers(want, "fit", (key,))
    if value not in table:
        near = difflib.get_close_matches(str(value), table, 1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise UserError(f"config.optimizer.{key}={value}: want one of {', '.join(table)}{hint}")
    return table[value]


def _numbers(want, reader, keys):
    missing = [k for k in keys if k not in want]
    if missing:
        raise UserError(f"config.optimizer has no {', '.join(missing)}, which {reader} reads: add it")
    return tuple(want[k] for k in keys)


def norm(grads):
    """Global l2 norm of a pytree, summed in at least float32 (a bfloat16 sum stops growing at 256 equal terms)."""

    def square(g):
        return jnp.sum(jnp.square(jnp.abs(g).astype(jnp.promote_types(g.dtype, jnp.float32))))

    return jnp.sqrt(sum(map(square, jax.tree.leaves(grads)), start=jnp.zeros(())))
