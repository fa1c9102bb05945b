"""One bar cut into shares of a whole."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from vcm_sweep.analysis.plots.theme import COLOURS, WIDE, Spec, data, finished


def stacked_bar(parts: Sequence[tuple[str, float, str]], axis: str) -> Spec:
    """The parts, each a name, its share and its words, from left to right; negative shares have no width."""
    rows: list[dict[str, Any]] = []
    at = 0.0
    for name, share, words in parts:
        end = at + max(0.0, share)
        rows.append({"part": name, "from": at, "to": end, "words": words})
        at = end
    names = [row["part"] for row in rows]
    bars = (
        alt.Chart(data(rows))
        .mark_bar(height=34, stroke="currentColor", strokeOpacity=0.35)
        .encode(
            x=alt.X(
                "from:Q",
                title=axis,
                scale=alt.Scale(domain=[0, max(1.0, at)]),
                axis=alt.Axis(format=".0%", tickCount=5),
            ),
            x2="to:Q",
            color=alt.Color("part:N", scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)]))),
            tooltip=[alt.Tooltip("part:N"), alt.Tooltip("words:N", title="share")],
        )
    )
    return finished([bars], WIDE, 44)
