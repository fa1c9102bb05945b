"""Errors as HTTP tells them: a problem (RFC 9457) for a program, a page with the same sentence for a person."""

import html
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.device.errors import DeviceError, VcmSweepError
from vcm_sweep.sweep.errors import ExecutorError, StoreError, StudyError
from vcm_sweep.sweep.folder import in_words


class ServiceError(VcmSweepError):
    """Something that only the service refuses; ``status``: of HTTP."""

    status = HTTPStatus.BAD_REQUEST


class NotFoundError(ServiceError):
    """There is no such study, file or page."""

    status = HTTPStatus.NOT_FOUND


class ConflictError(ServiceError):
    """What is asked does not go with what is there, as a run that is under way."""

    status = HTTPStatus.CONFLICT


class BusyError(ServiceError):
    """What is asked takes longer than an answer waits for; asked again later, it is there."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class UnfinishedError(ServiceError):
    """Work that was begun and came to no end, for want of memory or of time; begun again it may end so again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class TooLargeError(ServiceError):
    """More than the service reads."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


_STATUS: tuple[tuple[type[VcmSweepError], HTTPStatus], ...] = (
    (StudyError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DeviceError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (AnalysisError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StoreError, HTTPStatus.CONFLICT),
    (ExecutorError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_HELP = {
    HTTPStatus.NOT_FOUND: "there is nothing at {path}: the list of studies is at {home}/, the API at {home}/docs",
    HTTPStatus.METHOD_NOT_ALLOWED: "{path} does not take {method}: {home}/docs lists what it takes",
}


def status_of(error: VcmSweepError) -> HTTPStatus:
    """The status of HTTP that an error is told with.

    >>> int(status_of(StudyError("n = 0 must be at least 1")))
    422
    """
    if isinstance(error, ServiceError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)


def problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """The answer to a request that cannot be done: JSON, or for a browser's page HTML; ``more``: further members."""
    title = HTTPStatus(status).phrase
    if wants_page(request):
        return HTMLResponse(_page(request, status, title, detail), status, dict(headers or {}))
    content = {"type": "about:blank", "title": title, "status": int(status), "detail": detail, **more}
    return JSONResponse(content, status, dict(headers or {}), media_type="application/problem+json")


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks for a page, not a program for data."""
    accepts = request.headers.get("accept", "")
    return "text/html" in accepts and "/api/" not in request.url.path


def add_problems(app: FastAPI) -> None:
    """Let an application tell all its errors so."""

    @app.exception_handler(VcmSweepError)
    def of_ours(request: Request, error: VcmSweepError) -> Response:
        mistakes = getattr(error, "mistakes", None)
        headers = _later(request) if isinstance(error, BusyError) else None
        return problem(request, status_of(error), str(error), headers, **({"mistakes": mistakes} if mistakes else {}))

    @app.exception_handler(RequestValidationError)
    def of_a_request(request: Request, error: RequestValidationError) -> Response:
        sent = request.headers.get("content-type", "").partition(";")[0].strip()
        if sent and "json" not in sent and any(entry["loc"] == ("body",) for entry in error.errors()):
            detail = f"{sent[:80]} is not read here: send JSON, with Content-Type: application/json"
            return problem(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
        mistakes = [_mistake(entry) for entry in error.errors()]
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(mistakes), mistakes=mistakes)

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: HTTPException) -> Response:
        home = request.scope.get("root_path", "")
        help = _HELP.get(HTTPStatus(error.status_code))
        named = {"path": request.url.path, "method": request.method, "home": home}
        detail = help.format(**named) if help else str(error.detail)
        return problem(request, error.status_code, detail, error.headers)

    @app.exception_handler(OSError)
    def of_the_system(request: Request, error: OSError) -> Response:
        detail = f"{error.filename or 'a file'} cannot be read or written ({in_words(error)}): it may be back later"
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail)


def of_a_bug(request: Request, error: Exception) -> Response:
    """The answer where the service itself has failed."""
    detail = f"the service failed with {type(error).__name__}: its log says more; studies and runs are not touched"
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _later(request: Request) -> dict[str, str]:
    """When to ask again; a page that was only looked at does so by itself."""
    again = {"Retry-After": "5"}
    return again | {"Refresh": "5"} if request.method == "GET" and wants_page(request) else again


def _mistake(entry: Mapping[str, Any]) -> str:
    where, *names = map(str, entry["loc"])
    return f"{'.'.join(names) or where}: {entry['msg']}"


def _page(request: Request, status: int, title: str, detail: str) -> str:
    home = html.escape(request.scope.get("root_path", ""))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f'<link rel="stylesheet" href="{home}/static/service.css">'
        f'<header><h1>{int(status)} {title}</h1><p class="answer">{html.escape(detail)}</p></header>'
        f'<main><p><a href="{home}/">All studies</a></p></main>'
    )
