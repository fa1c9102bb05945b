"""Logging in and out: a token becomes a session of a browser."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from vcm_sweep.cluster.service.access.guard import too_many
from vcm_sweep.cluster.service.access.sessions import Visitor
from vcm_sweep.cluster.service.problems import problem
from vcm_sweep.cluster.service.service import Service, service_of

router = APIRouter(include_in_schema=False)


@router.post("/login")
def log_in(
    request: Request,
    service: Annotated[Service, Depends(service_of)],
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begin a session with a token, and go on to a page of the service."""
    address = request.client.host if request.client else ""
    if wait := service.limiter.wait_s(address):
        return too_many(request, wait)
    # Before anything is counted, or any page could keep whoever looks at it from logging in.
    if _from_elsewhere(request):
        return problem(request, HTTPStatus.FORBIDDEN, "this came from a page of another site: log in here")
    owner = service.tokens.owner(token.strip())
    if owner is None:
        service.limiter.failed(address)
        return problem(request, HTTPStatus.UNAUTHORIZED, "this token is not known here: copy it whole, or ask for one")
    request.state.visitor = Visitor(owner.name, owner.role)  # for the line on it
    home = request.scope.get("root_path", "")
    answer = RedirectResponse(home + _inside(next), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        service.sessions.cookie,
        service.sessions.begin(owner),
        max_age=int(service.settings.session_s),
        path=home or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
def log_out(request: Request, service: Annotated[Service, Depends(service_of)]) -> Response:
    """End the session."""
    home = request.scope.get("root_path", "")
    service.sessions.end(request.cookies.get(service.sessions.cookie, ""))
    answer = RedirectResponse(f"{home}/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(service.sessions.cookie, path=home or "/", httponly=True, samesite="strict")
    return answer


def _from_elsewhere(request: Request) -> bool:
    """Whether a page of another site has sent this, as far as the browser says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")  # of browsers that say no more without TLS
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _inside(path: str) -> str:
    """A path of the service itself, to which a log-in may lead on: no other site can have put itself there."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside and "\\" not in path else "/"
