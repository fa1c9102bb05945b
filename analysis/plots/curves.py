"""Mean output against one factor, with its interval."""

import math
from collections.abc import Sequence

import altair as alt

from vcm_sweep.analysis.methods.effects import EffectCurve
from vcm_sweep.analysis.plots.theme import BLUE, SMALL, Spec, data, finished, number_format


def curve(
    found: EffectCurve,
    unit: str,
    metric: str,
    domain: tuple[float, float],
    *,
    share: bool,
    axis: str = "linear",
    names: Sequence[str] = (),
) -> Spec:
    """One factor's effect curve; ``domain`` is the range of the vertical axis, which the curves of a page share.

    ``axis``: of the factor: linear, log, levels (a list of numbers: one interval each, with nothing between), or
    choices (the same in equal steps). ``names``: of choices, in the order of the curve.
    """
    words = "{:.1%} [{:.1%}, {:.1%}]" if share else "{:.4g} [{:.4g}, {:.4g}]"
    rows = [
        {"x": name, "mean": mean, "low": low, "high": high, "words": words.format(mean, low, high), "count": count}
        for name, mean, low, high, count in zip(
            names or found.centre, found.mean, found.low, found.high, found.count, strict=True
        )
    ]  # fmt: skip
    title = found.factor + (f" ({unit})" if unit else "")
    listed = axis in ("levels", "choices")
    if axis == "choices":
        x = alt.X("x:O", title=title, sort=None, axis=alt.Axis(labelAngle=0))
    else:
        along = alt.Scale(type="log" if axis == "log" else "linear", zero=False, nice=False, padding=8 if listed else 0)
        ticks = {"values": list(found.centre)} if listed else {"tickCount": 4}
        if axis == "log":
            ticks = {"values": _marks(found.centre[0], found.centre[-1])}
        x = alt.X("x:Q", title=title, scale=along, axis=alt.Axis(format=".4~g", **ticks))
    scale = alt.Scale(domain=list(domain), nice=False)
    marks = alt.Axis(tickCount=5, format=number_format(share=share))
    tooltip = [
        alt.Tooltip("x:N", title="at") if listed else alt.Tooltip("x:Q", title="bin around", format=".3~g"),
        alt.Tooltip("words:N", title=f"mean {metric}"),
        alt.Tooltip("count:Q", title="points"),
    ]
    base = alt.Chart(data(rows)).encode(x=x)
    mark = base.mark_rule(color=BLUE, strokeWidth=2) if listed else base.mark_area(color=BLUE, opacity=0.22)
    band = mark.encode(y=alt.Y("low:Q", title=None, scale=scale, axis=marks), y2="high:Q")
    line = base.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("mean:Q", title=None, scale=scale, axis=marks))
    dots = base.mark_point(color=BLUE, filled=True, size=55, opacity=1).encode(
        y=alt.Y("mean:Q", title=None, scale=scale, axis=marks), tooltip=tooltip
    )
    return finished([band, dots] if listed else [band, line, dots], SMALL, 150)


def _marks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from low to high; 1 alone over three decades or more; else the ends."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high < 1000 * low else (1,)
    marks = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    return [mark for mark in marks if low <= mark <= high] or [low, high]
