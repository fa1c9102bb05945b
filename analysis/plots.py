"""Pictures of a result as inline SVG: self-contained, readable in light and dark, safe for colour-blind eyes.

Each function returns one ``<svg>`` element. Ink and grid take the page's colours (``currentColor`` and the
CSS variable ``--grid``), so that one picture serves both colour schemes. No pyplot: no global figures.
"""

import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from vcm_sweep.analysis.effects import EffectCurve
from vcm_sweep.analysis.result import Sensitivity

# Okabe and Ito, https://jfly.uni-koeln.de/color/: told apart with the common colour-vision deficiencies,
# and bright enough on white and on near-black. Markers differ too, so colour is never the only difference.
BLUE, ORANGE, GREEN, PURPLE, SKY = "#2b7bba", "#d9680b", "#109d73", "#bd6a99", "#4aa3d6"
# Stand-ins that matplotlib draws with and that become the page's own colours in the text of the SVG.
_INK, _GRID = "#010203", "#040506"
# Any, because matplotlib types its keys as one long Literal.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    # Names come from the user: a dollar sign must not start a formula.
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def indices_figure(result: Sensitivity) -> str:
    """Total and first index of every factor with their intervals, highest total on top."""
    ranking = result.ranking()
    first = {index.factor: index for index in result.first}
    with _style():
        figure, axes = _figure(5.2, 1.2 + 0.44 * len(ranking))
        rows = np.arange(len(ranking))[::-1]
        pairs = (
            ("total", ranking, BLUE, "o", 0.13),
            ("first order", [first[index.factor] for index in ranking], ORANGE, "s", -0.17),
        )
        for label, indices, colour, marker, shift in pairs:
            value = np.array([index.value for index in indices])
            low, high = (np.array([getattr(index, end) for index in indices]) for end in ("low", "high"))
            axes.hlines(rows + shift, low, high, color=colour, linewidth=2.4, alpha=0.55)
            axes.plot(value, rows + shift, marker, color=colour, markersize=6.5, label=label)
        axes.axvline(0.0, color=_INK, linewidth=1.0)
        axes.set_yticks(rows, [_short(index.factor) for index in ranking])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(-0.6, len(ranking) - 0.4)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.set_xlabel("share of variance")
        figure.legend(loc="outside upper right", ncols=2, handletextpad=0.1, columnspacing=1.2)
        words = "; ".join(f"{i.factor} total {i.percent()}, first {first[i.factor].percent()}" for i in ranking)
        return _svg(figure, f"Sobol indices with {100 * result.confidence:g} % intervals. {words}")


def effect_figures(curves: Sequence[EffectCurve], units: Sequence[str], metric: str) -> tuple[str, ...]:
    """One small picture per factor, all with the same vertical axis, so that heights can be compared."""
    low, high = min(min(c.low) for c in curves), max(max(c.high) for c in curves)
    margin = 0.06 * (high - low) or 0.01
    pictures = []
    for curve, unit in zip(curves, units, strict=True):
        with _style():
            figure, axes = _figure(3.0, 2.15)
            axes.fill_between(curve.centre, curve.low, curve.high, color=BLUE, alpha=0.22, linewidth=0)
            axes.plot(curve.centre, curve.mean, "o-", color=BLUE, markersize=4, linewidth=1.8)
            axes.set_ylim(low - margin, high + margin)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.set_title(_short(curve.factor) + (f" ({unit})" if unit else ""), fontsize=10, loc="left")
            pictures.append(
                _svg(
                    figure,
                    f"Mean {metric} against {curve.factor}, lowest bin to highest: {curve.shape()}",
                )
            )
    return tuple(pictures)


def histogram_figure(values: NDArray[np.float64], metric: str, at_chance: float) -> str:
    """How often each value of the output came out; ``at_chance`` is the share at chance level."""
    finite = values[np.isfinite(values)]
    with _style():
        figure, axes = _figure(5.2, 2.9)
        axes.hist(finite, bins=min(40, max(8, round(finite.size**0.5))), color=BLUE, alpha=0.85)
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel(metric)
        axes.set_ylabel("trainings")
        q10, q50, q90 = np.quantile(finite, [0.1, 0.5, 0.9])
        return _svg(
            figure,
            f"Histogram of {metric} over {finite.size} trainings: 10 % below {q10:.3g}, median {q50:.3g}, "
            f"10 % above {q90:.3g}; {100 * at_chance:.0f} % at chance level",
        )


def training_figure(histories: Sequence[Sequence[float]]) -> str:
    """Accuracy after each epoch: median and the band that holds the middle 80 % of the trainings."""
    length = max(len(history) for history in histories)
    table = np.full((len(histories), length), np.nan)
    for row, history in zip(table, histories, strict=True):
        row[: len(history)] = history
    q10, q50, q90 = np.nanquantile(table, [0.1, 0.5, 0.9], axis=0)
    epochs = np.arange(1, length + 1)
    with _style():
        figure, axes = _figure(5.2, 2.9)
        axes.fill_between(epochs, q10, q90, color=GREEN, alpha=0.22, linewidth=0, label="10 % to 90 %")
        axes.plot(epochs, q50, "o-", color=GREEN, markersize=4, label="median")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("accuracy")
        figure.legend(loc="outside upper right", ncols=2)
        return _svg(figure, f"Accuracy by epoch; median {q50[0]:.3g} after the first, {q50[-1]:.3g} at the end")


def convergence_figure(parts: Sequence[Sensitivity]) -> str:
    """Total indices against the number of base blocks; the four that rank highest are named."""
    sizes = [part.base_points for part in parts]
    named = [index.factor for index in parts[-1].ranking()[:4]]
    styles = dict(zip(named, ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D")), strict=False))
    with _style():
        figure, axes = _figure(5.2, 3.1)
        axes.axhline(0.0, color=_INK, linewidth=1.0)
        for column, factor in reversed(list(enumerate(parts[-1].factors))):
            totals = [part.total[column] for part in parts]
            value = [index.value for index in totals]
            if factor not in styles:
                axes.plot(sizes, value, color=_INK, alpha=0.3, linewidth=1.0)
                continue
            colour, marker = styles[factor]
            low, high = [index.low for index in totals], [index.high for index in totals]
            axes.fill_between(sizes, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(sizes, value, marker + "-", color=colour, markersize=5, label=_short(factor))
        handles, labels = axes.get_legend_handles_labels()
        order = [labels.index(_short(factor)) for factor in named]
        figure.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside upper left", ncols=2)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xticks(sizes)
        axes.set_xlabel("base blocks used")
        axes.set_ylabel("total index")
        last = "; ".join(f"{i.factor} {i.percent()}" for i in parts[-1].ranking()[:4])
        return _svg(figure, f"Total indices against base blocks, {sizes[0]} to {sizes[-1]}. At the end: {last}")


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


@contextmanager
def _style() -> Iterator[None]:
    # Without a salt, ids are random and the same records give another page each time.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": "vcm-sweep"}):
        yield


def _figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Figure, alt: str) -> str:
    """The figure as an ``<svg>`` that scales with its box, has a text alternative and links to nothing."""
    buffer = StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Pictures share one page: ids of their own, and the same ones for the same picture.
    prefix = f"p{hashlib.sha256(text.encode()).hexdigest()[:8]}-"
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}", text)
    text = text.replace(_INK, "currentColor").replace(_GRID, "var(--grid, #d8d8d8)")
    label = html.escape(alt, quote=True)
    opening, rest = text.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    return f'{opening} role="img" aria-label="{label}">{rest}'.strip()
