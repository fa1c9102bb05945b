"""What a request passes before it is answered: who asks, how much is sent, what is allowed; a line on each change."""

import asyncio
import hmac
import json
import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vcm_sweep.cluster.service.access.limiter import Limiter
from vcm_sweep.cluster.service.access.sessions import Sessions, Visitor
from vcm_sweep.cluster.service.access.tokens import Tokens
from vcm_sweep.cluster.service.problems import of_a_bug, problem, wants_page
from vcm_sweep.cluster.service.settings import MAX_BODY, MAX_FIELDS
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.session.log import utc_now

_log = logging.getLogger("vcm_sweep")
_SAFE = ("GET", "HEAD", "OPTIONS")
_PUBLIC = ("/login", "/healthz")
# Nothing is changed by these, though they are sent as changes are.
_READS = ("/api/check", "/logout")
_MOST_OF_A_STRANGER = 20_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'self'; "
    "base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that has none of its own."""


class Guard:
    """Stands before an application.

    Args:
        app: what answers. tokens, sessions: who may ask. limiter: of wrong tokens. audit: file of the lines on changes.
        prefix: of all paths, which a proxy may have taken off or not.

    A visitor is in ``request.state.visitor``; a study that is started is put into ``request.state.study``, for the line
    on it. A request from a page changes something only with the session's word, in the field ``csrf`` of a form or the
    header ``X-CSRF-Token``.
    """

    def __init__(
        self, app: ASGIApp, tokens: Tokens, sessions: Sessions, limiter: Limiter, audit: Path, prefix: str = ""
    ) -> None:
        self._app, self._tokens, self._sessions = app, tokens, sessions
        self._limiter, self._audit, self._prefix = limiter, audit, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand over to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._prefix
        status = 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        path = own_path(scope)
        try:
            refusal, visitor, body = await self._judged(request, path)
        except VcmSweepError as error:  # of the file of tokens
            refusal, visitor, body = problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error)), None, b""
        if refusal is not None:
            await refusal(scope, receive, told)
        else:
            scope.setdefault("state", {})["visitor"] = visitor
            try:
                await self._app(scope, _replayed(body, receive), told)
            except asyncio.CancelledError:
                # The service ends before the answer is there; uvicorn ends with it what is still waited for.
                if not status:
                    detail = "the service ends: ask again when it is back; studies and runs are not touched"
                    await problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail)(scope, receive, told)
            except Exception as error:
                # Told here, and not by what stands around this: with the headers, and with a line on the change.
                _log.exception("%s %s failed", request.method, path)
                if not status:
                    await of_a_bug(request, error)(scope, receive, told)
        # Strangers are written down where they knock, and nowhere else: they could fill a disk with lines.
        who = getattr(request.state, "visitor", visitor)
        knocked = path == "/login" and status == HTTPStatus.UNAUTHORIZED
        # The page of a new study is sent at each change of its text, which changes nothing else.
        tried = path in ("/api/check", "/new") and status < HTTPStatus.BAD_REQUEST
        changed = not tried or bool(getattr(request.state, "study", ""))
        if request.method not in _SAFE and changed and (who or knocked):
            self._note(request, who, path, status)

    async def _judged(self, request: Request, path: str) -> tuple[Response | None, Visitor | None, bytes]:
        """(what to answer in place of the application, who asks, what was sent)."""
        if self._prefix and request.scope["path"] == self._prefix:
            return RedirectResponse(f"{self._prefix}/", HTTPStatus.PERMANENT_REDIRECT), None, b""
        changes = request.method not in _SAFE
        address = request.client.host if request.client else ""
        given = request.headers.get("authorization", "")
        if given:
            # Counted apart from log-ins, which a page of another site can send in a browser's name.
            address = f"{address} bearer"
            if wait := self._limiter.wait_s(address):
                return too_many(request, wait), None, b""
            kind, _, text = given.partition(" ")
            token = self._tokens.owner(text.strip()) if kind.lower() == "bearer" else None
            if token is None:
                self._limiter.failed(address)
                return _unknown(request, "this token is not known here"), None, b""
            visitor: Visitor | None = Visitor(token.name, token.role)
        else:
            visitor = self._sessions.visitor(request.cookies.get(self._sessions.cookie, ""))
        public = path in _PUBLIC or path.startswith("/static/")
        if visitor is None and not public:
            return _unknown(request, "a token is needed"), None, b""
        # What a stranger sends is not held in memory: a token is short.
        most = MAX_BODY if visitor else _MOST_OF_A_STRANGER
        body = await _body(request, most) if changes else b""
        if body is None:
            detail = f"the request has more than {most:,} bytes, and no more are read: send less"
            return problem(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail), visitor, b""
        if visitor is None or public:
            return None, visitor, body
        if changes and visitor.csrf and not await _carries(request, body, visitor.csrf):
            detail = "this page is from another session, or the change came from another site: load the page again"
            return problem(request, HTTPStatus.FORBIDDEN, detail), visitor, b""
        if changes and not visitor.may_run and path not in _READS:
            detail = f"the token {visitor.name!r} may read and not run: ask for one with the role run"
            return problem(request, HTTPStatus.FORBIDDEN, detail), visitor, b""
        return None, visitor, body

    def _note(self, request: Request, visitor: Visitor | None, path: str, status: int) -> None:
        line = {
            "time": utc_now(),
            "who": visitor.name if visitor else "",
            "from": request.client.host if request.client else "",
            "what": f"{request.method} {path}",
            "study": getattr(request.state, "study", ""),
            "status": status,
        }
        try:
            with open(self._audit, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            _log.error("%s takes no line (%s): %s", self._audit, error.strerror, line)


def own_path(scope: Scope) -> str:
    """The path of a request without the prefix that a proxy has put before it."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) or "/" if root and f"{path}/".startswith(f"{root}/") else path


def too_many(request: Request, wait_s: float) -> Response:
    """The answer to an address that has tried too often."""
    seconds = math.ceil(wait_s)
    detail = f"too many wrong tokens from this address: wait {seconds} s"
    return problem(request, HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(seconds)})


def _unknown(request: Request, why: str) -> Response:
    home = request.scope.get("root_path", "")
    if wants_page(request) and request.method in _SAFE:
        there = own_path(request.scope) + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{home}/login?next={quote(there, safe='')}", HTTPStatus.SEE_OTHER)
    detail = f"{why}: send 'Authorization: Bearer TOKEN', or log in at {home}/login"
    return problem(request, HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": "Bearer"})


async def _body(request: Request, most: int) -> bytes | None:
    """What was sent; None where that is more than is read."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                return None
    except ClientDisconnect:  # nobody hears the answer
        return None
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A ``receive`` that gives what was read once more, and then what comes: that the other side has gone."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _carries(request: Request, body: bytes, csrf: str) -> bool:
    """Whether a change carries the word of the session that it is asked in."""
    word: Any = request.headers.get("x-csrf-token", "")
    if not word and "form" in request.headers.get("content-type", ""):
        try:
            # As much as a request may hold: whatever is too long is told by who reads it.
            sent = Request(request.scope, _replayed(body, request.receive))
            async with sent.form(max_fields=MAX_FIELDS, max_part_size=MAX_BODY) as form:
                word = form.get("csrf", "")
        except (HTTPException, MultiPartException):
            return False
    return isinstance(word, str) and hmac.compare_digest(word.encode("utf-8", "replace"), csrf.encode())
