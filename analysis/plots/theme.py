"""One look for all pictures: the page's text colour, colours that colour-blind readers tell apart, no frame."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import altair as alt

Spec: TypeAlias = dict[str, Any]

# The text colour of the page, light or dark; in an SVG or PNG file of its own it is black.
INK = "currentColor"
# Okabe and Ito, https://jfly.uni-koeln.de/color/: told apart with the common colour-vision deficiencies, and at
# least 3 : 1 against white and against near-black. Shapes differ too, so colour is never the only difference.
COLOURS = ("#2b7bba", "#d9680b", "#109d73", "#bd6a99")
BLUE, ORANGE, GREEN, PURPLE = COLOURS
GREY = "#8a949e"
SHAPES = ("circle", "square", "triangle-up", "diamond")
# Width in pixels of a large picture, and of a small one beside others. On the page, pictures fill the width they get.
WIDE, SMALL = 460, 250
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def finished(layers: Sequence[alt.Chart], width: int, height: int) -> Spec:
    """The specification of a chart in the common look; layers from the lowest to the highest."""
    styled = (
        alt.LayerChart(layer=list(layers))
        .properties(width=width, height=height, background="transparent")
        .configure(font=_FONT, padding=4, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=INK, domainColor=INK, tickColor=INK, gridColor=INK, gridOpacity=0.13,
            domainOpacity=0.45, tickOpacity=0.45, labelFontSize=12, titleFontSize=12, titleFontWeight="normal",
            titlePadding=8, labelLimit=190,
        )
        # A reader's font may be wider than the one that the layout was measured with, so entries are kept well apart.
        .configure_legend(
            orient="top", direction="horizontal", title=None, labelColor=INK, labelFontSize=12, symbolOpacity=1,
            labelLimit=220, offset=4, columns=2, columnPadding=32,
        )
        .configure_title(color=INK, fontSize=13, fontWeight=600, anchor="start", offset=6)
    )  # fmt: skip
    return dict(styled.to_dict())


def data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows as the data of a chart. Keys must be fixed names of ours; names that a user chose may only be values."""
    return alt.InlineData(values=rows)


def number_format(*, share: bool) -> str:
    """The number format of an axis: per cent for a share, else a few digits."""
    return "~%" if share else ".4~g"
