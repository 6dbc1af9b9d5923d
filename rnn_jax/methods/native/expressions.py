"""C++ for the element-wise equations of a step, one value at a time."""

# pyright: reportAttributeAccessIssue=false
# (the types of jaxprs are not in JAX's annotations)

import jax
import jax.numpy as jnp
import numpy as np

TYPES = {"float32": "float", "float64": "double", "bool": "bool"}
TYPES |= {f"{sign}int{n}": f"{sign}int{n}_t" for sign in ("", "u") for n in (8, 16, 32, 64)}
BINARY = {
    "add": "{} + {}", "add_any": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "max": "f_max({}, {})",
    "min": "f_min({}, {})", "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "le": "{} <= {}", "gt": "{} > {}",
    "ge": "{} >= {}", "and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}",
}  # fmt: skip
UNARY = {
    "neg": "-{}", "tanh": "f_tanh({})", "logistic": "f_logistic({})", "exp": "f_exp({})", "expm1": "f_expm1({})",
    "log": "f_log({})", "log1p": "f_log1p({})", "sqrt": "f_sqrt({})", "rsqrt": "1 / f_sqrt({})", "abs": "f_abs({})",
    "sign": "f_sign({})",
    "square": "{0} * {0}", "one_minus_square": "1 - {0} * {0}", "floor": "f_floor({})", "ceil": "f_ceil({})",
    "is_finite": "__builtin_isfinite({})", "copy": "{}", "copy_p": "{}", "stop_gradient": "{}", "real": "{}",
}  # fmt: skip
# Of these compilers make no vectors: XLA's own are faster.
SLOW = {f: f"f_{f}({{}})" for f in (
    "sin", "cos", "tan", "asin", "acos", "atan", "erf", "erfc", "exp2", "cbrt", "sinh", "cosh", "asinh", "acosh",
    "atanh",
)} | {"atan2": "f_atan2({}, {})", "pow": "f_pow({}, {})", "rem": "f_fmod({}, {})"}  # fmt: skip


class Refused(ValueError):
    """What this method has no code for."""

    def __init__(self, why):
        self.why = why
        super().__init__(f'native: {why}; use method="deferred", which takes any step')


def kind(v) -> str:
    """The C++ type of a value."""
    if (name := str(v.aval.dtype)) not in TYPES:
        raise Refused(f"no code for values of {name}")
    return TYPES[name]


def stored(v) -> str:
    """Its type in memory: of truth values, as they lie there, compilers make no vectors."""
    return "uint8_t" if (name := kind(v)) == "bool" else name


def literal(value, dtype) -> str:
    if np.ndim(value):
        raise Refused("the step holds an array of constants")
    dtype = np.dtype(dtype)
    if dtype.name not in TYPES:
        raise Refused(f"no code for values of {dtype.name}")
    if dtype.kind == "b":
        return str(bool(value)).lower()
    if dtype.kind != "f":
        return f"{TYPES[dtype.name]}({int(value)})"
    text = repr(float(value)).lower()
    text = {"inf": "__builtin_inf()", "-inf": "-__builtin_inf()", "nan": '__builtin_nan("")'}.get(text, text)
    return f"{TYPES[dtype.name]}({text})"


def _moved(e, args, out, index):
    """From one sharding to another: nothing on one device."""
    if jax.device_count() > 1:
        raise Refused("the step is cut over devices")
    return args[0]


def _select(e, args, out, index):
    if str(e.invars[0].aval.dtype) != "bool":
        raise Refused("no code for a choice of more than two")
    return f"chosen({args[0]}, {args[2]}, {args[1]})"


def _cast(e, args, out, index):
    if jnp.issubdtype(e.invars[0].aval.dtype, jnp.floating) and jnp.issubdtype(out.aval.dtype, jnp.integer):
        info = jnp.iinfo(out.aval.dtype)
        return f"f_integer<{kind(out)}>({args[0]}, {literal(info.min, info.dtype)}, {literal(info.max, info.dtype)})"
    return f"{args[0]} != 0" if kind(out) == "bool" else f"({kind(out)})({args[0]})"


def _not(e, args, out, index):
    return f"!{args[0]}" if kind(out) == "bool" else f"~{args[0]}"


def _divide(e, args, out, index):
    return ("{} / {}" if jnp.issubdtype(out.aval.dtype, jnp.floating) else "f_quotient({}, {})").format(*args)


def _remainder(e, args, out, index):
    return (SLOW["rem"] if jnp.issubdtype(out.aval.dtype, jnp.floating) else "f_remainder({}, {})").format(*args)


def _pow(e, args, out, index):
    return SLOW["pow"].format(args[0], f"({kind(out)})({args[1]})")


def _round(e, args, out, index):
    return f"f_{'round' if int(e.params['rounding_method']) == 0 else 'nearbyint'}({args[0]})"


def _power(e, args, out, index):
    if 2 <= abs(n := e.params["y"]) <= 4:  # without the loop of f_power, of which compilers make no vectors
        product = " * ".join(args * abs(n))
        return product if n > 0 else f"1 / ({product})"
    return f"1 / {args[0]}" if n == -1 else f"f_power({args[0]}, {n})"


OTHERS = {
    "reshard": _moved, "sharding_constraint": _moved,
    "select_n": _select, "convert_element_type": _cast, "not": _not, "div": _divide, "integer_pow": _power,
    "rem": _remainder, "pow": _pow, "round": _round,
    "iota": lambda e, args, out, index: f"({kind(out)}){index[e.params['dimension']]}",
    "clamp": lambda e, args, out, index: f"f_min(f_max({args[1]}, {args[0]}), {args[2]})",
}  # fmt: skip


def is_elementwise(e) -> bool:
    return any(e.primitive.name in known for known in (BINARY, UNARY, SLOW, OTHERS))


def expression(e, args: list[str], index: list[str]) -> str:
    """Of the value at an index, from the expressions of the operands'."""
    name = e.primitive.name
    if name in OTHERS:
        return OTHERS[name](e, args, e.outvars[0], index)
    return (BINARY.get(name) or UNARY.get(name) or SLOW[name]).format(*args)
