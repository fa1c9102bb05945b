"""A specification drawn as SVG or PNG, and the script that draws it in a browser; nothing is loaded from a network."""

import re
from functools import cache

import vl_convert
from markupsafe import escape

from vcm_sweep.analysis.plots.theme import Spec

_SPARE = 24  # pixels


def svg(spec: Spec) -> str:
    """The picture as one ``<svg>``; its marks have no labels, which a screen reader would read out one by one.

    >>> from vcm_sweep.analysis.plots.stacked import stacked_bar
    >>> svg(stacked_bar([("imperfections", 0.8, "80 %"), ("luck", 0.2, "20 %")], "share of variance"))[:4]
    '<svg'
    """
    drawn = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", str(vl_convert.vegalite_to_svg(spec)))
    # Names stand at the left. A reader's font may be wider than the one measured here, so that side gets spare room.
    width, height = (float(size) for size in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)[0])
    wide = f'width="{width + _SPARE:g}" height="{height:g}" viewBox="{-_SPARE} 0 {width + _SPARE:g} {height:g}"'
    return re.sub(r'width="[^"]*" height="[^"]*" viewBox="[^"]*"', wide, drawn, count=1)


def inline(drawn: str) -> str:
    """The SVG for use inside a page: it scales with its box and takes the page's text colour; the box has the label."""
    opening, rest = drawn.split(">", 1)
    return re.sub(r' (?:width|height|class)="[^"]*"', "", opening) + ">" + rest


def alone(drawn: str, label: str) -> str:
    """The SVG as a file of its own: on white, with ``label``, its content in words, for readers who cannot see it."""
    opening, rest = drawn.split(">", 1)
    ground = f'<rect x="{-_SPARE}" width="100%" height="100%" fill="white"/>'
    return f'{opening} role="img" aria-label="{escape(label)}">{ground}{rest}'


def png(drawn: str) -> bytes:
    """A picture for slides and papers, on white, twice the size of the page's."""
    return bytes(vl_convert.svg_to_png(alone(drawn, ""), scale=2.0))


@cache
def viewer_script() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, ready to stand in a page."""
    script = str(vl_convert.javascript_bundle())  # type: ignore[call-arg]  # its stub asks for a snippet
    # Inside <script>, these are the only texts that would end it or open a comment.
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
