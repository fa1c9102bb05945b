"""Indices from growing parts of a design, which show whether they have settled."""

from collections.abc import Sequence

import altair as alt

from vcm_sweep.analysis.plots.theme import COLOURS, GREY, INK, SHAPES, WIDE, Spec, data, finished, number_format
from vcm_sweep.analysis.results.sensitivity import Sensitivity

_NAMED = 4


def growth(parts: Sequence[Sensitivity], axis: str, *, share: bool) -> Spec:
    """The ranking index against the number of units; the four that rank highest are named and have intervals."""
    named = [index.factor for index in parts[-1].ranking()[:_NAMED]]
    rows = [
        {
            "size": part.units,
            "factor": index.factor,
            "value": index.value,
            "low": index.low,
            "high": index.high,
            "words": part.text(index),
        }
        for part in parts
        for index in part[part.kind]
    ]
    sizes = [part.units for part in parts]
    format_ = number_format(share=share)
    x = alt.X(
        "size:Q", title=f"{parts[-1].unit} used", scale=alt.Scale(zero=False, nice=False),
        axis=alt.Axis(values=sizes, format="d", labelOverlap=True),
    )  # fmt: skip
    colour = alt.Color(
        "factor:N", scale=alt.Scale(domain=named, range=list(COLOURS[: len(named)])),
        legend=alt.Legend(),
    )  # fmt: skip
    shape = alt.Shape("factor:N", scale=alt.Scale(domain=named, range=list(SHAPES[: len(named)])), legend=alt.Legend())
    y = alt.Y("value:Q", title=axis, axis=alt.Axis(format=format_, tickCount=6))
    tooltip = [
        alt.Tooltip("factor:N"),
        alt.Tooltip("size:Q", title=f"{parts[-1].unit} used"),
        alt.Tooltip("words:N", title="index"),
    ]
    top = alt.Chart(data([row for row in rows if row["factor"] in named])).encode(x=x, color=colour)
    rest = [row for row in rows if row["factor"] not in named]
    thin = alt.Chart(data(rest)).mark_line(color=GREY, strokeWidth=1, opacity=0.7)
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(color=INK, opacity=0.6).encode(y="zero:Q")
    layers = [
        zero,
        *([thin.encode(x=x, y=y, detail="factor:N", tooltip=tooltip)] if rest else []),
        top.mark_area(opacity=0.14).encode(y=alt.Y("low:Q", title=axis, axis=alt.Axis(format=format_)), y2="high:Q"),
        top.mark_line(strokeWidth=2).encode(y=y),
        top.mark_point(filled=True, size=60, opacity=1).encode(y=y, shape=shape, tooltip=tooltip),
    ]
    return finished(layers, WIDE, 230)
