"""A histogram of the output: how often each value occurred."""

import altair as alt
import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.plots.theme import BLUE, WIDE, Spec, data, finished, number_format


def histogram(values: NDArray[np.float64], metric: str, *, share: bool) -> Spec:
    """Counts in bins of equal width; values: (n,) finite."""
    counts, edges = np.histogram(values, bins=min(40, max(8, round(values.size**0.5))))
    words = "{:.1%} to {:.1%}" if share else "{:.4g} to {:.4g}"
    rows = [
        {"low": float(low), "high": float(high), "count": int(count), "words": words.format(low, high)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(data(rows))
        .mark_bar(color=BLUE, opacity=0.85)
        .encode(
            x=alt.X("low:Q", bin="binned", title=metric, axis=alt.Axis(format=number_format(share=share), tickCount=6)),
            x2="high:Q",
            y=alt.Y("count:Q", title="trainings", axis=alt.Axis(tickCount=5, format=".4~g")),
            tooltip=[alt.Tooltip("words:N", title=metric), alt.Tooltip("count:Q", title="trainings")],
        )
    )
    return finished([bars], WIDE, 210)
