"""The interaction map: per pair of factors a disc whose area is the share, and a ring for the interval's upper end."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from vcm_sweep.analysis.plots.theme import BLUE, GREY, WIDE, Spec, data, finished
from vcm_sweep.analysis.results.index import Index


def bubbles(pairs: Sequence[Index], order: Sequence[str], told: Sequence[Index]) -> Spec:
    """The map of all pairs. Factors are numbered by rank, so columns need no names; negative estimates have no disc.

    Args:
        pairs: second-order indices. order: factors by rank. told: the pairs that are distinguishable from none.
    """
    place = {factor: i for i, factor in enumerate(order, 1)}
    rows: list[dict[str, Any]] = []
    for pair in pairs:
        one, two = sorted((pair.factor, pair.partner), key=lambda name: place[name])
        rows.append(
            {
                "row": f"{place[two]}  {two}",
                "column": str(place[one]),
                "pair": f"{one} × {two}",
                "value": max(0.0, pair.value),
                "high": max(0.0, pair.high),
                "words": pair.percent(),
                "told": "distinguishable from none" if pair in told else "open",
            }
        )
    most = max([row["high"] for row in rows] or [1.0]) or 1.0
    names = [f"{i}  {name}" for i, name in enumerate(order[1:], 2)]
    numbers = [str(i) for i in range(1, len(order))]
    side = 26
    scale = alt.Scale(domain=[0, most], range=[0, side * side * 0.72])
    base = alt.Chart(data(rows)).encode(
        x=alt.X(
            "column:O", sort=numbers, title=None, axis=alt.Axis(labelAngle=0, orient="top", domain=False, grid=True)
        ),
        y=alt.Y("row:O", sort=names, title=None, axis=alt.Axis(domain=False, ticks=False, grid=True)),
        tooltip=[alt.Tooltip("pair:N"), alt.Tooltip("words:N", title="interaction"), alt.Tooltip("told:N", title="so")],
    )
    ring = base.mark_point(shape="circle", filled=False, strokeWidth=1, opacity=0.8, color=GREY).encode(
        size=alt.Size("high:Q", scale=scale, legend=None)
    )
    colour = alt.condition("datum.told !== 'open'", alt.value(BLUE), alt.value(GREY))
    disc = base.mark_point(shape="circle", filled=True, opacity=0.95).encode(
        size=alt.Size("value:Q", scale=scale, legend=None), color=colour
    )
    return finished([ring, disc], WIDE, side * max(1, len(names)))
