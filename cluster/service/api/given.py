"""The answer that is a file of a results folder, which may be from elsewhere, so it is given as a stranger's."""

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from vcm_sweep.cluster.service.access.sessions import Visitor

PAGES = (".html", ".svg")
"""Endings of what a browser shows as a page, with whatever is written in it."""

_SHOWN = {
    ".html": "text/html", ".svg": "image/svg+xml", ".png": "image/png", ".json": "application/json",
    ".md": "text/plain", ".toml": "text/plain", ".txt": "text/plain", ".jsonl": "text/plain",
}  # fmt: skip
# It can ask this service for nothing, open no window, and lead the page around it nowhere.
_FOREIGN = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
_PIECE = 1 << 18


def given(request: Request, name: str, file: BinaryIO) -> Response:
    """A file: shown by a browser where that can do no harm, else, or with ``?download``, to be kept.

    What is a page is shown within one of the service alone: by itself it could look like the service, and ask for a
    token.
    """
    path = PurePosixPath(name)
    kind = _SHOWN.get(path.suffix) if "download" not in request.query_params else None
    if kind and path.suffix in PAGES and _by_itself(request):
        file.close()
        there = request.url.path.removeprefix(request.scope.get("root_path", "")).removeprefix("/api")
        home = request.scope.get("root_path", "")
        return RedirectResponse(f"{home}{quote(there.replace('/files/', '/shown/', 1))}", 303)
    size = os.fstat(file.fileno()).st_size
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f"{'inline' if kind else 'attachment'}; filename*=utf-8''{quote(path.name, safe='')}",
    }
    if kind and path.suffix in PAGES:
        headers["Content-Security-Policy"] = _FOREIGN
    return StreamingResponse(_pieces(file, size), media_type=kind or "application/octet-stream", headers=headers)


def _by_itself(request: Request) -> bool:
    """Whether a person's browser would show this as a page of its own.

    A browser says so, but not where it is asked without TLS by another machine: there the page around it says it.
    """
    visitor: Visitor = request.state.visitor
    wanted = request.headers.get("sec-fetch-dest")
    return bool(visitor.csrf) and (wanted == "document" if wanted else "within" not in request.query_params)


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    with file:
        while size > 0 and (piece := file.read(min(_PIECE, size))):
            size -= len(piece)
            yield piece
