"""The files that pages load: style, scripts, the viewer of pictures, and the schema of a study. All come from here."""

import json
from collections.abc import Callable
from functools import cache

from fastapi import APIRouter
from fastapi.responses import Response

from vcm_sweep.analysis.plots.render import viewer_script
from vcm_sweep.analysis.report.frame import read_template
from vcm_sweep.cluster.service.pages.form import study_schema_once
from vcm_sweep.cluster.service.pages.render import read_file
from vcm_sweep.cluster.service.problems import NotFoundError

router = APIRouter(include_in_schema=False)

_STYLE, _SCRIPT = "text/css", "text/javascript"
_ASSETS: dict[str, tuple[str, Callable[[], str]]] = {
    "report.css": (_STYLE, lambda: read_template("report.css")),
    "service.css": (_STYLE, lambda: read_file("static", "service.css")),
    "follow.js": (_SCRIPT, lambda: read_file("static", "follow.js")),
    "live.js": (_SCRIPT, lambda: read_file("static", "live.js")),
    "again.js": (_SCRIPT, lambda: read_file("static", "again.js")),
    "charts.js": (_SCRIPT, lambda: read_file("static", "charts.js")),
    "vega.js": (_SCRIPT, viewer_script),
    "study.schema.json": ("application/json", lambda: json.dumps(study_schema_once(), indent=1)),
}


@router.get("/static/{name}")
def asset(name: str) -> Response:
    """A file; NotFoundError for any other name. A browser keeps it for an hour."""
    if name not in _ASSETS:
        raise NotFoundError(f"there is no file {name[:80]!r} here")
    return Response(_content(name), media_type=_ASSETS[name][0], headers={"Cache-Control": "private, max-age=3600"})


@cache
def _content(name: str) -> bytes:
    return _ASSETS[name][1]().encode()
