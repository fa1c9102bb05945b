"""Mean output against one factor, with its interval."""

import altair as alt

from vcm_sweep.analysis.methods.effects import EffectCurve
from vcm_sweep.analysis.plots.theme import BLUE, SMALL, Spec, data, finished, number_format


def curve(found: EffectCurve, unit: str, metric: str, domain: tuple[float, float], *, share: bool) -> Spec:
    """One factor's effect curve; ``domain`` is the range of the vertical axis, which the curves of a page share."""
    words = "{:.1%} [{:.1%}, {:.1%}]" if share else "{:.4g} [{:.4g}, {:.4g}]"
    rows = [
        {"x": x, "mean": mean, "low": low, "high": high, "words": words.format(mean, low, high), "count": count}
        for x, mean, low, high, count in zip(
            found.centre, found.mean, found.low, found.high, found.count, strict=True
        )
    ]  # fmt: skip
    title = found.factor + (f" ({unit})" if unit else "")
    x = alt.X("x:Q", title=title, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=4, format=".4~g"))
    scale = alt.Scale(domain=list(domain), nice=False)
    axis = alt.Axis(tickCount=5, format=number_format(share=share))
    tooltip = [
        alt.Tooltip("x:Q", title="bin around", format=".3~g"),
        alt.Tooltip("words:N", title=f"mean {metric}"),
        alt.Tooltip("count:Q", title="points"),
    ]
    base = alt.Chart(data(rows)).encode(x=x)
    band = base.mark_area(color=BLUE, opacity=0.22).encode(
        y=alt.Y("low:Q", title=None, scale=scale, axis=axis), y2="high:Q"
    )
    line = base.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("mean:Q", title=None, scale=scale, axis=axis))
    dots = base.mark_point(color=BLUE, filled=True, size=55, opacity=1).encode(
        y=alt.Y("mean:Q", title=None, scale=scale, axis=axis), tooltip=tooltip
    )
    return finished([band, line, dots], SMALL, 150)
