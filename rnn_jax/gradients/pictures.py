"""The pictures of the gradient laboratory, each drawn on axes that you give. Sizes are log10, drawn as powers."""

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from rnn_jax.plots import band

POWERS = FuncFormatter(lambda v, _: f"$10^{{{v:g}}}$")


def by_lag(log10):
    """log10 ||dE_t/dh_{t-l}|| - log10 ||dE_t/dh_t|| as [t l], NaN where there is none, of a matrix [t k] (`influence`).

    Where y_t does not read h_t, relative to the first lag that has a gradient. Rows may be missing (`influence` of the
    last ones): row i of r is taken to be t = k - r + i.
    """
    log10 = np.asarray(log10, float)
    rows, k = log10.shape
    out = np.full((rows, k), np.nan)
    for i, row in enumerate(log10):
        back = row[k - rows + i :: -1]
        seen = np.flatnonzero(np.isfinite(back))
        out[i, : len(back)] = back - back[seen[0]] if seen.size else np.nan
    return out


def powers(axis):
    axis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axis.set_major_formatter(POWERS)


def lag(axes, log10, *, products=None, bound=None, label="gradient of $E_t$, median over $t$"):
    """||dE_t/dh_{t-l}|| / ||dE_t/dh_t|| against the lag l, of a matrix [t k]; beside it, if given, log10 norms of the
    products dh_l/dh_0 [l] and the safe bound, log10 per step."""
    sizes = by_lag(log10)
    sizes[~np.isfinite(sizes)] = np.nan  # an exact 0 has no place on a log axis
    band(axes, np.arange(sizes.shape[1]), sizes, label=label, color="C0")
    if products is not None:
        axes.plot(
            np.arange(1, len(products) + 1), products, "C1--", label=r"largest: $\|\partial h_l/\partial h_0\|_2$"
        )
    if bound is not None:
        low, high = axes.get_ylim()
        axes.plot([0, sizes.shape[1]], [0, bound * sizes.shape[1]], "k:", label=r"safe bound $(\sigma_{max}\gamma)^l$")
        axes.set_ylim(low, max(high, 1))
    axes.set(xlabel="lag $l$ (steps back in time)", ylabel="size relative to lag 0", title="Gradient against time lag")
    powers(axes.yaxis)
    axes.legend(frameon=False)


def heat(axes, log10, *, decades=20):
    """The matrix log10 ||dE_t/dh_k|| as colours, from the first step that has a loss on; what is more than `decades`
    below the largest looks alike."""
    log10 = np.asarray(log10, float)
    log10 = log10[np.argmax(np.isfinite(log10).any(axis=1)) :]
    shown = np.where(np.isfinite(log10), log10, np.nan)
    top = np.nanmax(shown) if np.isfinite(shown).any() else 0.0
    extent = (-0.5, log10.shape[1] - 0.5, log10.shape[1] - 0.5, log10.shape[1] - len(log10) - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True) if len(log10) > 1 else FixedLocator([log10.shape[1] - 1]))
    image = axes.imshow(shown, extent=extent, aspect="auto", vmin=max(np.nanmin(shown, initial=top), top - decades),
                        interpolation="nearest", vmax=top)  # fmt: skip
    axes.grid(False)
    axes.set(xlabel="$k$: the state (step)", ylabel="$t$: the loss (step)", title=r"$\|\partial E_t/\partial h_k\|$")
    bar = axes.figure.colorbar(
        image, ax=axes, extend="min" if np.nanmin(shown, initial=top) < top - decades else "neither"
    )
    powers(bar.ax.yaxis)


def plane(axes, eigenvalues, *, gamma=None):
    """Eigenvalues, dict label -> complex numbers, with the unit circle and the circle of radius 1/gamma."""
    angle = np.linspace(0, 2 * np.pi, 400)
    x, y = np.cos(angle), np.sin(angle)
    axes.plot(x, y, "k-", linewidth=1, label="unit circle" + (r" = $1/\gamma$" if gamma == 1 else ""))
    if gamma is not None and gamma != 1:
        axes.plot(x / gamma, y / gamma, "k--", linewidth=1, label=r"$1/\gamma$" + f" = {1 / gamma:g}")
    for label, values in eigenvalues.items():
        axes.scatter(np.real(values), np.imag(values), s=14, alpha=0.7, label=label, linewidths=0)
    axes.set(xlabel="real part", ylabel="imaginary part", title="Eigenvalues", aspect="equal")
    axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def histogram(axes, singular_values, *, bins=40):
    """Histograms of singular values, dict label -> numbers, with a line at 1."""
    every = np.concatenate([np.asarray(v, float).ravel() for v in singular_values.values()])
    edges = np.linspace(0, max(1.05, float(every.max()) * 1.02), bins + 1)
    for label, values in singular_values.items():
        values = np.asarray(values, float).ravel()
        axes.hist(values, edges, weights=np.full(values.size, 1 / values.size), alpha=0.55, label=label)
    axes.axvline(1, color="k", linewidth=1)
    axes.set(xlabel="singular value", ylabel="share", title="Singular values")
    axes.legend(frameon=False, fontsize="small")


def exponents(axes, spectrum):
    """Lyapunov exponents [b D] or [D], descending: their mean, and the range over b."""
    values = np.atleast_2d(np.asarray(spectrum, float))
    band(axes, np.arange(1, values.shape[1] + 1), np.where(np.isfinite(values), values, np.nan), color="C0", marker=".")
    axes.axhline(0, color="k", linewidth=1)
    axes.set(xlabel="index", ylabel="exponent (nats per step)", title="Lyapunov spectrum")


def gates(axes, saturation):
    """The share of steps and units near the low and near the high end of their range, a bar for each named value."""
    labels = list(saturation)[::-1]
    low, high = (np.array([np.mean(saturation[k][end]) for k in labels]) for end in ("low", "high"))
    where = np.arange(len(labels))
    axes.barh(where, low, color="C0", label="near the low end")
    axes.barh(where, 1 - low - high, left=low, color="0.9", label="between")
    axes.barh(where, high, left=1 - high, color="C3", label="near the high end")
    for y, l, h in zip(where, low, high, strict=True):
        axes.text(0.01, y, f"{l:.0%}", va="center")
        axes.text(0.99, y, f"{h:.0%}", va="center", ha="right")
    axes.set(xlim=(0, 1), xlabel="share of steps and units", title="Saturation")
    axes.set_yticks(where, [k.replace("_", " ") for k in labels])
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
