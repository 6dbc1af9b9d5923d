"""C++ for what is put together along axes: sums, products, extremes, where those are, and their running kin."""

from rnn_jax.methods.native.expressions import kind

REDUCTIONS = {  # what they begin with, None: the first value; how two are put together (loop.h)
    "reduce_sum": ("0", "Sum"), "reduce_max": (None, "Max"), "reduce_min": (None, "Min"),
    "reduce_and": (None, "And"), "reduce_or": ("0", "Or"), "reduce_prod": ("1", "Product"),
}  # fmt: skip
CUMULATIVE = {"cumsum": "Sum", "cumprod": "Product", "cummax": "Max", "cummin": "Min"}

FIRST = {"argmax": "Greater", "argmin": "Less"}


def reduce(code, e):
    """The first value, then one after the other: the innermost loop is over an axis that stays, or a fold."""
    a, axes = e.invars[0], sorted(e.params["axes"])
    first, combine = REDUCTIONS[e.primitive.name]
    n, source, place = a.aval.ndim, code.places[a], code.places[e.outvars[0]]
    kept = [i for i in range(n) if i not in axes]
    index = [f"i{k}" for k in range(len(kept))]
    at_first = ["0"] * n
    for i, name in zip(kept, index, strict=True):
        at_first[i] = name
    code.nest([code.bound(a, i) for i in kept], [f"{place.at(index)} = {first or source.at(at_first)};"])
    folds = n - 1 in axes and source.strides[-1] == 1
    inside = n - 1 not in axes
    order = [*kept[:-1], *axes, *kept[-1:]] if inside else [*kept, *axes]
    names = {i: f"i{k}" for k, i in enumerate(order)}
    total, one = place.at([names[i] for i in kept]), [names[i] for i in range(n)]
    if folds:
        row = source.at([*one[:-1], "0"])
        body = f"{total} = fold({code.bound(a, n - 1)}, &{row}, {total}, {combine}());"
        return code.nest([code.bound(a, i) for i in order[:-1]], [body], vector=False)
    code.nest([code.bound(a, i) for i in order], [f"{total} = {combine}()({total}, {source.at(one)});"], vector=inside)
    if not inside:
        code.slow.add("sums over the last axis")


def cumulate(code, e):
    """Each value is put together with what came before it along an axis, or after it."""
    a, axis = e.invars[0], e.params["axis"]
    n, source, place = a.aval.ndim, code.places[a], code.places[e.outvars[0]]
    order = [*(i for i in range(n) if i not in (axis, n - 1)), axis, *([n - 1] if axis != n - 1 else [])]
    names = {i: f"i{k}" for k, i in enumerate(order)}
    index, last = [names[i] for i in range(n)], f"({code.bound(a, axis)} - 1)"
    here = f"({last} - {names[axis]})" if e.params["reverse"] else names[axis]
    before = f"({here} {'+' if e.params['reverse'] else '-'} 1)"
    at = lambda place, i: place.at([*index[:axis], i, *index[axis + 1 :]])
    both = f"{CUMULATIVE[e.primitive.name]}()({at(place, before)}, {at(source, here)})"
    body = f"{at(place, here)} = {names[axis]} ? {both} : {at(source, here)};"
    code.nest([code.bound(a, i) for i in order], [body], vector=axis != n - 1)


def first(code, e):
    """Where an axis has its extreme for the first time: each value is compared with the one found so far."""
    a, out, (axis,) = e.invars[0], e.outvars[0], e.params["axes"]
    n, source, place = a.aval.ndim, code.places[a], code.places[e.outvars[0]]
    kept = [i for i in range(n) if i != axis]
    names = {i: f"i{k}" for k, i in enumerate([*kept, axis])}
    found, here = place.at([names[i] for i in kept]), [names[i] for i in range(n)]
    code.nest([code.bound(a, i) for i in kept], [f"{found} = 0;"])
    best = source.at([*here[:axis], found, *here[axis + 1 :]])
    body = f"if ({FIRST[e.primitive.name]}()({source.at(here)}, {best})) {found} = ({kind(out)}){names[axis]};"
    code.nest([code.bound(a, i) for i in [*kept, axis]], [body], vector=False)
