"""Dots with their intervals, one row per factor, for indices, costs, shares or differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from vcm_sweep.analysis.plots.theme import COLOURS, INK, SHAPES, WIDE, Spec, data, finished, number_format
from vcm_sweep.analysis.results.index import Index


@dataclass(frozen=True)
class Interval:
    """A dot with its interval, and the words that hovering shows.

    Args:
        missed: by how much the interval reaches higher because a model leaves as much unexplained; drawn thin.
    """

    factor: str
    series: str
    value: float
    low: float
    high: float
    words: str
    missed: float = 0.0


def interval_rows(indices: Sequence[Index], series: str, *, share: bool, scale: float = 1.0) -> list[Interval]:
    """Rows of one kind of index, times ``scale``."""
    return [
        Interval(
            index.name, series, scale * index.value, scale * index.low, scale * index.high,
            index.percent() if share else index.scaled(scale).number(), scale * index.missed,
        )
        for index in indices
    ]  # fmt: skip


def intervals(
    rows: Sequence[Interval], axis: str, *, share: bool, tooltip: str = "estimate", log: bool = False
) -> Spec:
    """Factors from top to bottom in the order of ``rows``, series side by side in a factor's lane.

    Where a model leaves something unexplained, the line is thick up to where the interval would end without it.

    Args:
        axis: title of the axis. share: whether it is read in per cent.
        tooltip: what the value is called when hovering.
        log: a logarithmic axis, of values above 0, and no line at 0.
    """
    order = list(dict.fromkeys(row.factor for row in rows))
    series = list(dict.fromkeys(row.series for row in rows))
    missed = any(row.missed for row in rows)
    values: list[dict[str, Any]] = [
        {"factor": r.factor, "series": r.series, "value": r.value, "low": r.low, "high": r.high, "words": r.words}
        | ({"own": r.high - r.missed} if missed else {})
        for r in rows
        if r.value == r.value  # NaN: a number that was not measured has no dot
    ]
    # The name of a pair takes two lines; a single name is cut off only where one line is too short for it.
    pairs = any(" × " in name for name in order)
    split = alt.Axis(labelExpr="split(datum.label, ' × ')", labelLineHeight=13) if pairs else alt.Axis()
    names = alt.Axis(**{**split.to_dict(), "domain": False, "ticks": False, "grid": True})
    lane = max(15 * len(series) + 9, 34 if pairs else 0)
    colours, shapes = list(COLOURS[: len(series)]), list(SHAPES[: len(series)])
    legend = alt.Legend() if len(series) > 1 else None
    shown = [alt.Tooltip("factor:N"), alt.Tooltip("series:N", title="which"), alt.Tooltip("words:N", title=tooltip)]
    base = alt.Chart(data(values)).encode(
        y=alt.Y("factor:N", sort=order, title=None, axis=names),
        color=alt.Color("series:N", scale=alt.Scale(domain=series, range=colours), legend=legend),
        tooltip=shown,
    )
    if len(series) > 1:
        base = base.encode(yOffset=alt.YOffset("series:N", sort=series, scale=alt.Scale(paddingOuter=0.6)))
    scale = alt.Scale(type="log", zero=False, nice=False) if log else alt.Scale()
    x = alt.X("value:Q", title=axis, scale=scale, axis=alt.Axis(format=number_format(share=share), tickCount=5))
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, opacity=0.6).encode(x="zero:Q")
    low = alt.X("low:Q", title=axis, scale=scale, axis=alt.Axis(format=number_format(share=share), tickCount=5))
    whole = base.mark_rule(strokeWidth=1.2 if missed else 2.6, opacity=0.55).encode(x=low, x2="high:Q")
    own = [base.mark_rule(strokeWidth=5, opacity=0.55).encode(x=low, x2="own:Q")] if missed else []
    dots = base.mark_point(filled=True, size=75, opacity=1).encode(
        x=x, shape=alt.Shape("series:N", scale=alt.Scale(domain=series, range=shapes), legend=legend)
    )
    return finished([*([] if log else [zero]), whole, *own, dots], WIDE, lane * max(1, len(order)))
