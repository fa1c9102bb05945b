"""A browser's session: a signed cookie, and the word that every change from a page must carry."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.service.access.tokens import Token, Tokens
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import write_durably

_LONGEST = 1000


@dataclass(frozen=True)
class Visitor:
    """Who asks: the name and role of a token; ``csrf``: what changes from a page must carry, "" for a bearer token."""

    name: str
    role: str
    csrf: str = ""
    until: float = float("inf")

    @property
    def may_run(self) -> bool:
        """Whether changes are allowed."""
        return self.role == "run"


class Sessions:
    """Cookies that need no table on the server, so that a restart logs nobody out; a token that is gone ends its own.

    Args:
        tokens: who may log in. last_s: seconds that a session lasts.
        ended: the file of the sessions that were ended before their time, which a restart must not begin anew.

    Raises:
        StoreError: that file cannot be read.
    """

    def __init__(self, tokens: Tokens, last_s: float, ended: Path) -> None:
        self._tokens, self._last_s, self._file = tokens, last_s, ended
        self._mutex = threading.Lock()
        self._ended = _read_ended(ended)

    @property
    def cookie(self) -> str:
        """Name of the cookie. A browser gives cookies to every port of a host: each service has a name of its own."""
        return f"vcm_sweep_{hmac.new(self._tokens.secret, b'name', hashlib.sha256).hexdigest()[:12]}"

    def begin(self, token: Token) -> str:
        """The cookie of a new session."""
        plain = {"id": secrets.token_hex(8), "name": token.name, "until": time.time() + self._last_s}
        # Without the signs at its end, which a cookie would have to quote.
        return self._signed(base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("="), token)

    def visitor(self, cookie: str) -> Visitor | None:
        """Whose session a cookie is; None for one that is over, was ended, or was not made here."""
        if len(cookie) > _LONGEST:
            return None
        body = cookie.partition(".")[0]
        try:
            plain = _plain(body)
            id, name, until = str(plain["id"]), str(plain["name"]), float(plain["until"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        token = self._tokens.named(name)
        if token is None or not hmac.compare_digest(self._signed(body, token).encode(), cookie.encode()):
            return None
        if time.time() > until or id in self._ended:
            return None
        return Visitor(token.name, token.role, self._mac(f"csrf {body}", token), until)

    def end(self, cookie: str) -> None:
        """Let a session be over before its time, even for whoever has kept the cookie; OSError: it cannot be written,
        and is over until the service starts anew."""
        body = cookie.partition(".")[0]
        if self.visitor(cookie) is None:
            return
        plain, now = _plain(body), time.time()
        with self._mutex:
            self._ended = {id: until for id, until in self._ended.items() if until > now}
            self._ended[str(plain["id"])] = float(plain["until"])
            write_durably(self._file, json.dumps(self._ended).encode())

    def _signed(self, body: str, token: Token) -> str:
        return f"{body}.{self._mac(body, token)}"

    def _mac(self, text: str, token: Token) -> str:
        # The token is part of the key: whoever changes it ends the sessions that it began.
        return hmac.new(self._tokens.secret + token.token.encode(), text.encode(), hashlib.sha256).hexdigest()


def _read_ended(file: Path) -> dict[str, float]:
    """Until when each session would have lasted that was ended."""
    try:
        return {str(id): float(until) for id, until in json.loads(file.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{file} cannot be read ({type(error).__name__}): restore it, or delete it and tokens.json, since "
            "whoever has logged out could be in again"
        ) from None


def _plain(body: str) -> dict[str, Any]:
    """What the first part of a cookie says; ValueError for what is none."""
    plain = json.loads(base64.urlsafe_b64decode(f"{body}=="))
    if not isinstance(plain, dict):
        raise ValueError("no session")
    return plain
