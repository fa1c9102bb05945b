"""One look for all pictures: ink of the page, colours that colour-blind eyes tell apart, no frame."""

from collections.abc import Sequence
from typing import Any

import altair as alt

type Spec = dict[str, Any]

# The page's own ink, in light and dark alike; an SVG or PNG on its own takes black.
INK = "currentColor"
# Okabe and Ito, https://jfly.uni-koeln.de/color/: told apart with the common colour-vision deficiencies, and at
# least 3 : 1 against white and against near-black. Shapes differ too, so colour is never the only difference.
COLOURS = ("#2b7bba", "#d9680b", "#109d73", "#bd6a99")
BLUE, ORANGE, GREEN, PURPLE = COLOURS
GREY = "#8a949e"
SHAPES = ("circle", "square", "triangle-up", "diamond")
# Width in pixels of a picture of its own, and of one of many; on the page pictures take the width that is there.
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
        # A reader's font may be wider than the one that was measured with: entries keep well apart.
        .configure_legend(
            orient="top", direction="horizontal", title=None, labelColor=INK, labelFontSize=12, symbolOpacity=1,
            labelLimit=220, offset=4, columns=2, columnPadding=32,
        )
        .configure_title(color=INK, fontSize=13, fontWeight=600, anchor="start", offset=6)
    )  # fmt: skip
    return dict(styled.to_dict())


def data(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Rows as the data of a chart. Field names are ours; what a user named is only ever a value."""
    return alt.InlineData(values=rows)


def number_format(*, share: bool) -> str:
    """Of an axis: per cent, or a few digits."""
    return "~%" if share else ".4~g"
