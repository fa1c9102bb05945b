"""A quantity over time, as its median and bands between quantiles."""

import altair as alt
import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.plots.theme import GREEN, WIDE, Spec, data, finished, number_format

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def quantile_band(quantiles: NDArray[np.float64], time: str, quantity: str, *, share: bool) -> Spec:
    """Median, the middle half and the middle nine tenths; quantiles: (5, steps), a row for each of ``QUANTILES``."""
    words = ".1%" if share else ".4g"
    rows = [
        {"step": step, **dict(zip("abcde", map(float, column), strict=True)),
         "inner": f"{column[1]:{words}} to {column[3]:{words}}", "outer": f"{column[0]:{words}} to {column[4]:{words}}",
         "median": f"{column[2]:{words}}"}
        for step, column in enumerate(quantiles.T, 1)
    ]  # fmt: skip
    steps = quantiles.shape[1]
    axis = alt.Axis(format="d", tickMinStep=1, tickCount=min(10, steps))
    base = alt.Chart(data(rows)).encode(x=alt.X("step:Q", title=time, scale=alt.Scale(nice=False), axis=axis))

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=quantity, axis=alt.Axis(format=number_format(share=share), tickCount=5))

    tooltip = [
        alt.Tooltip("step:Q", title=time),
        alt.Tooltip("median:N"),
        alt.Tooltip("inner:N", title="middle half"),
        alt.Tooltip("outer:N", title="middle 90 %"),
    ]
    layers = [
        base.mark_area(color=GREEN, opacity=0.16).encode(y=y("a"), y2="e"),
        base.mark_area(color=GREEN, opacity=0.28).encode(y=y("b"), y2="d"),
        base.mark_line(color=GREEN, strokeWidth=2).encode(y=y("c")),
        base.mark_point(color=GREEN, filled=True, size=55, opacity=1).encode(y=y("c"), tooltip=tooltip),
    ]
    return finished(layers, WIDE, 210)
