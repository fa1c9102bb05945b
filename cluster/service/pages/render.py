"""Pages as HTML: the templates, the words for numbers in them, and what every page has."""

import re
import time
import zlib
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vcm_sweep.cluster.terminal.words import duration

_ROOM = "vcm_sweep.cluster.service.pages"


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page; every text in ``values`` is escaped.

    Args:
        request: that is answered. template: its name in templates/, without ``.html.j2``. status: of HTTP.
    """
    visitor = getattr(request.state, "visitor", None)
    csrf = Markup('<input type="hidden" name="csrf" value="{}">').format(visitor.csrf if visitor else "")
    own = {"home": request.scope.get("root_path", ""), "visitor": visitor, "csrf": csrf}
    return HTMLResponse(_environment().get_template(f"{template}.html.j2").render(own | values), status)


def back_to(request: Request, path: str) -> Response:
    """Shows another page after a change, so that loading it again changes nothing."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", HTTPStatus.SEE_OTHER)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: read_file("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "accuracy": lambda value: "-" if value is None else f"{100 * value:.1f} %",
        "age": lambda changed: f"{duration(max(0.0, round(time.time() - changed)))} ago",
        "breakable": _breakable,
        "bytes": _bytes,
        "capital": lambda words: words[:1].upper() + words[1:],
        "count": lambda value: "-" if value is None else f"{value:,.0f}",
        "digest": lambda words: f"words-{zlib.crc32(' '.join(words).encode()):x}",
        "duration": duration,
    }
    return environment


def read_file(folder: str, name: str) -> str:
    """The text of a file of ours, from a checkout, a wheel or a zip alike."""
    return resources.files(_ROOM).joinpath(folder, name).read_text(encoding="utf-8")


def _breakable(name: str) -> Markup:
    """The escaped name, with a place to break after each dot and dash, since a browser takes it for one word."""
    return Markup("<wbr>").join(re.split(r"(?<=[._-])(?=[A-Za-z0-9])", name))


def _bytes(size: int) -> str:
    """A size in words.

    >>> _bytes(900), _bytes(2_500_000)
    ('900 B', '2.5 MB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} B"
