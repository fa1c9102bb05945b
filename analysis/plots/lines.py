"""Named lines over one axis, for what a cell does or how a search went."""

from collections.abc import Mapping, Sequence

import altair as alt

from vcm_sweep.analysis.plots.theme import COLOURS, SHAPES, WIDE, Spec, data, finished


def lines(
    named: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_axis: str, y_axis: str, *, log: bool = False,
    dots: bool = False,
) -> Spec:  # fmt: skip
    """One line per name, from its x and y values, in the order given.

    ``log``: a logarithmic vertical axis; values of 0 or below are then gaps. ``dots``: mark every value, for lines of
    few values.
    """
    rows = [
        {"name": name, "order": i, "x": float(x), "y": float(y) if not log or y > 0 else None}
        for name, (xs, ys) in named.items()
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]
    names = list(named)
    legend = alt.Legend() if len(names) > 1 else None
    y_scale = alt.Scale(type="log") if log else alt.Scale(zero=False)
    base = alt.Chart(data(rows)).encode(
        x=alt.X(
            "x:Q", title=x_axis, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=6, format=".4~g")
        ),
        y=alt.Y("y:Q", title=y_axis, scale=y_scale, axis=alt.Axis(tickCount=6, format=".1~e" if log else ".4~g")),
        color=alt.Color("name:N", scale=alt.Scale(domain=names, range=list(COLOURS[: len(names)])), legend=legend),
    )
    tooltip = [
        alt.Tooltip("name:N", title="line"),
        alt.Tooltip("x:Q", title=x_axis, format=".4~g"),
        alt.Tooltip("y:Q", title=y_axis, format=".4~g"),
    ]
    line = base.mark_line(strokeWidth=2).encode(order="order:Q")
    # Where there are many points they are invisible, but the pointer still finds them and shows their values.
    shape = alt.Shape("name:N", scale=alt.Scale(domain=names, range=list(SHAPES[: len(names)])), legend=legend)
    hover = base.mark_point(filled=True, size=60, opacity=1 if dots else 0).encode(tooltip=tooltip, shape=shape)
    return finished([line, hover], WIDE, 220)
