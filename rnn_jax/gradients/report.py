"""One call that looks at a step's gradients through time, draws what it finds and says it in words."""

import base64
import html
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import plots
from rnn_jax.gradients import flat
from rnn_jax.gradients.flow import influence
from rnn_jax.gradients.gates import saturation
from rnn_jax.gradients.jacobians import jacobian_product_log10norms, jacobians, lyapunov_spectrum
from rnn_jax.gradients.spectra import local_bound, recurrent_matrices, spectrum

SOURCES = 256  # rows of the influence matrix at most: the last ones
SEQUENCES = 4  # of the batch, in the Jacobian probes
STATE = 512  # widest state of which Jacobians are taken: d of them cost d backward steps each


class Report(NamedTuple):
    path: Path  # report.html
    figures: dict[str, Path]
    words: list[str]  # what is seen, a sentence each
    numbers: dict[str, Any]


def report(cell_or_step, params, xs, loss, workdir, *, carry=None, title="Gradients through time") -> Report:
    """Writes workdir/report.html, one file with its pictures inside, and the pictures themselves (figures/*.png).

    cell_or_step  a `Cell`, or any step (params, carry, x) -> (carry, y), which also needs `carry`
    xs            tree of [t b ...], t >= 2;  loss: ys -> scalar, as in `hidden_gradients`

    Shown, with h_k the whole state: the gradient against the time lag with the safe bound; ||dE_t/dh_k||; eigenvalues
    of the recurrent matrices and of the last Jacobian; singular values; the Lyapunov spectrum; saturation of the named
    values. A part that this step does not have (a recurrent matrix that is not square) is named in the page with its
    reason.

    >>> gradients.report(cells.lstm(), params, xs, lambda ys: jnp.mean((ys[-1] - target) ** 2), "runs/report")
    """
    step = getattr(cell_or_step, "step", cell_or_step)
    if carry is None:
        carry = _zero_state(cell_or_step, params, xs)
    params, carry, xs = flat.as_arrays(params, carry, xs)
    t, ys = flat.check("report", step, params, carry, xs, 2)
    flat.check_loss("report", loss, ys)
    found = _measure(step, params, carry, xs, loss, t)
    words = _words(found, t)
    figures = _draw(found, Path(workdir) / "figures")
    page = Path(workdir) / "report.html"
    page.write_text(_page(title, words, found["notes"], figures))
    return Report(page, figures, words, found["numbers"])


def _zero_state(cell, params, xs):
    """The state of a Cell whose parameters these are: its width d is the one with which `init` gives their shapes."""
    if not hasattr(cell, "carry"):
        raise ValueError("report: a step needs its state before the first step; give carry=")
    if jnp.ndim(jax.tree.leaves(xs)[0]) != 3:
        raise ValueError(f"report: a Cell reads xs [t b n], got {jnp.shape(jax.tree.leaves(xs)[0])}; else give carry=")
    shapes = lambda tree: jax.tree.map(jnp.shape, tree)
    (_, b, n), dtype = jax.tree.leaves(xs)[0].shape, jnp.result_type(*jax.tree.leaves(params))
    for d in sorted({size // g for a in jax.tree.leaves(params) for size in a.shape for g in range(1, 9)} - {0}):
        try:
            if shapes(jax.eval_shape(lambda: cell.init(jax.random.key(0), n, d))) == shapes(params):
                return cell.carry(b, d, dtype)
        except (TypeError, ValueError):  # a width that this cell cannot have
            continue
    raise ValueError("report: these are not parameters of this cell for inputs like xs; give carry=")


def _measure(step, params, carry, xs, loss, t):
    """Every probe that this step has; a reason for each that it has not."""
    found: dict[str, Any] = {"notes": []}
    rows = range(max(0, t - SOURCES), t)
    found["influence"] = np.asarray(jax.jit(lambda: influence(step, params, carry, xs, loss, name=None, rows=rows))())

    def attempt(name, probe):
        try:
            found[name] = probe()
        except ValueError as error:
            found["notes"].append(str(error))

    attempt("bound", lambda: float(local_bound(step, params, carry, xs)))
    attempt("matrices", lambda: recurrent_matrices(step, params, carry, xs))
    found["spectra"] = {k: spectrum(w) for k, w in found.get("matrices", {}).items()}
    found["saturation"] = jax.tree.map(np.asarray, saturation(step, params, carry, xs))
    few, few_xs = carry, xs
    if all(a.ndim > 1 for a in jax.tree.leaves(carry)):
        few, few_xs = jax.tree.map(lambda a: a[:SEQUENCES], carry), jax.tree.map(lambda a: a[:, :SEQUENCES], xs)
    width = sum(a[0].size if a.ndim > 1 else a.size for a in jax.tree.leaves(few) if flat.is_float(a))
    if width > STATE:
        found["notes"].append(f"the state has {width} numbers: Jacobians are taken up to {STATE}")
    else:
        args = step, params, few, few_xs
        attempt("products", lambda: np.asarray(jax.jit(lambda: jacobian_product_log10norms(*args))()))
        attempt("lyapunov", lambda: np.asarray(jax.jit(lambda: lyapunov_spectrum(*args))()))
        last = min(t, max(2, 2**22 // (width**2 * SEQUENCES)))
        short = step, params, few, jax.tree.map(lambda a: a[:last], few_xs)
        attempt("jacobians", lambda: np.asarray(jax.jit(lambda: jacobians(*short))()))
    found["numbers"] = _numbers(found)
    return found


def _numbers(found):
    from rnn_jax.gradients.pictures import by_lag

    sizes = by_lag(found["influence"])
    sizes[~np.isfinite(sizes)] = np.nan
    seen = np.flatnonzero(~np.isnan(sizes).all(axis=0))
    out: dict[str, Any] = {}
    if len(seen) > 1:
        middle = np.nanmedian(sizes[:, seen], axis=0)
        out["log10_rate"] = float(np.polyfit(seen, middle, 1)[0])  # decades a step, over all lags that have a gradient
        under = np.flatnonzero(middle < -2)
        out["lag_of_one_percent"] = int(seen[under[0]]) if under.size else None
        out["farthest"], out["log10_farthest"] = int(seen[-1]), float(middle[-1])
    if "bound" in found:
        out["log10_bound"] = found["bound"]
    for k, s in found["spectra"].items():
        out[f"spectral_radius/{k}"], out[f"sigma_max/{k}"] = (
            np.asarray(s.radius).tolist(),
            float(s.singular_values.max()),
        )
    if "lyapunov" in found:
        out["largest_lyapunov"] = float(np.max(found["lyapunov"]))
    for k, ends in found["saturation"].items():
        out[f"saturation/{k}"] = {end: float(share.mean()) for end, share in ends.items()}
    return out


def _words(found, t):
    n, out = found["numbers"], []
    if "log10_rate" not in n:
        out.append("No gradient of this loss reaches any step before its own.")
    else:
        factor, rate = 10 ** n["log10_rate"], n["log10_rate"] * math.log(10)
        if abs(rate) < 0.005:
            out.append(f"Gradients keep their size: a factor of {factor:.3f} a step.")
        elif rate < 0:
            out.append(f"Gradients shrink by {factor:.2g} a step; half-life {math.log(2) / -rate:.1f} steps.")
        else:
            out.append(f"Gradients grow by {factor:.3g} a step; they double every {math.log(2) / rate:.1f} steps.")
        far = f"{n['farthest']} steps back their size is 10^{n['log10_farthest']:.1f} of that at the loss"
        if n["lag_of_one_percent"]:
            far += f"; it falls below 1 % after {n['lag_of_one_percent']} steps"
        out.append(far[0].upper() + far[1:] + ".")
    if "log10_bound" in n:
        factor = 10 ** n["log10_bound"]
        verdict = "they surely vanish" if factor < 1 else "it rules neither vanishing nor explosion out"
        out.append(f"The safe bound sigma_max(W) gamma is {factor:.3g} a step: {verdict}.")
    for k in found["spectra"]:
        radius = ", ".join(f"{r:.3g}" for r in np.atleast_1d(n[f"spectral_radius/{k}"]))
        out.append(f"{k}: spectral radius {radius}; largest singular value {n[f'sigma_max/{k}']:.3g}.")
    if "largest_lyapunov" in n:
        value = n["largest_lyapunov"]
        kind = "part (chaos)" if value > 0.01 else "converge" if value < -0.01 else "keep their distance"
        out.append(f"The largest Lyapunov exponent over {t} steps is {value:.3g} nats a step: nearby states {kind}.")
    for k, ends in ((k.removeprefix("saturation/"), v) for k, v in n.items() if k.startswith("saturation/")):
        out.append(f"{k.replace('_', ' ')}: {ends['low']:.0%} near its low end, {ends['high']:.0%} near its high end.")
    return out


def _draw(found, folder) -> dict[str, Path]:
    from rnn_jax.gradients import pictures

    def one(name, draw, *args, **kwargs):
        figure, axes = plots.panels()
        draw(axes[0, 0], *args, **kwargs)
        drawn[name] = plots.save(figure, folder / f"{name}.png")

    drawn: dict[str, Path] = {}
    products = found.get("products")
    if products is not None:
        products = np.median(products, axis=1) if products.ndim > 1 else products
        products = np.where(np.isfinite(products), products, np.nan)
    if "log10_rate" in found["numbers"]:
        one("lag", pictures.lag, found["influence"], products=products, bound=found.get("bound"))
        one("influence", pictures.heat, found["influence"])
    values = {f"{k}[{i}]" if len(w) > 1 else k: w[i] for k, s in found["spectra"].items()
              for w in [np.asarray(s.eigenvalues)] for i in range(len(w))}  # fmt: skip
    singular = {f"{k}[{i}]" if len(w) > 1 else k: w[i] for k, s in found["spectra"].items()
                for w in [np.asarray(s.singular_values)] for i in range(len(w))}  # fmt: skip
    if "jacobians" in found:
        J = found["jacobians"][:: max(1, len(found["jacobians"]) // 16)]  # a few steps show it, and cost less
        values["Jacobian"] = np.linalg.eigvals(J[-1].reshape(-1, *J.shape[-2:])[0])
        singular["Jacobians"] = np.linalg.svd(J, compute_uv=False)
    if values:
        sigma = max((float(s.singular_values.max()) for s in found["spectra"].values()), default=None)
        gamma = 10 ** found["bound"] / sigma if "bound" in found and sigma else None
        one("eigenvalues", pictures.plane, values, gamma=None if gamma is None else round(gamma, 6))
        one("singular_values", pictures.histogram, singular)
    if "lyapunov" in found:
        one("lyapunov", pictures.exponents, found["lyapunov"])
    if found["saturation"]:
        one("saturation", pictures.gates, found["saturation"])
    return drawn


CAPTIONS = {
    "lag": "How much of the gradient of step t's loss is left l steps earlier. A straight line on this axis is an "
    "exponential; the band is the range over t.",
    "influence": "Row t is the way of E_t's gradient back to every earlier state; the diagonal is its start.",
    "eigenvalues": "Of the recurrent matrices and of the Jacobian dh_t/dh_{t-1}, which also holds the slope of the "
    "nonlinearity. A gradient shrinks in the long run along eigenvalues inside the circle.",
    "singular_values": "The largest and least factor by which one step can change a gradient's norm.",
    "lyapunov": "Long-run growth per step along each direction: below 0 it vanishes, above 0 it explodes.",
    "saturation": "A unit near an end of its range passes almost no gradient through its nonlinearity. A forget gate "
    "at its high end remembers.",
}

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "img{width:100%;max-width:800px}li{margin:.2rem 0}figcaption{color:#555}figure{margin:2rem 0}.note{color:#777}"
)


def _page(title, words, notes, figures):
    def picture(name, path):
        data = base64.b64encode(path.read_bytes()).decode()
        caption = CAPTIONS[name]
        return (
            f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    items = "".join(f"<li>{html.escape(w)}</li>" for w in words)
    missing = "".join(f'<p class="note">Not shown: {html.escape(n)}</p>' for n in notes)
    shown = "".join(picture(name, path) for name, path in figures.items())
    head = f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head>'
        f"<body><h1>{html.escape(title)}</h1><ul>{items}</ul>{shown}{missing}</body></html>\n"
    )
