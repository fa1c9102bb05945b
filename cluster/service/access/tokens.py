"""Tokens: who may read, and who may run. They are in one file, which the service makes on its first start."""

import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from vcm_sweep.sweep.errors import StoreError

ROLES = ("read", "run")
"""``read`` sees everything; ``run`` changes things, too."""


@dataclass(frozen=True)
class Token:
    """A token: a name for the record of changes, a role, and the text that is kept secret."""

    name: str
    role: str
    token: str


class Tokens:
    """The tokens of a service, from its file ``tokens.json``: a list that whoever owns the file may change at any time.

    Args:
        path: of the file, which is made with a token for each role if it is missing; nobody else may read it.

    Attributes:
        fresh: the tokens, if the file was made now; they are shown this once.

    Raises:
        StoreError: others may read the file, or it is no list of tokens.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fresh: tuple[Token, ...] = ()
        if not path.exists():
            self.fresh = tuple(Token(role, role, secrets.token_urlsafe(32)) for role in reversed(ROLES))
            plain = {"secret": secrets.token_hex(32), "tokens": [vars(token) for token in self.fresh]}
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(json.dumps(plain, indent=1) + "\n")
        self._stamp: tuple[int, ...] = ()
        self._tokens: tuple[Token, ...] = ()
        self._secret = b""
        self._read()

    @property
    def secret(self) -> bytes:
        """With which cookies are signed."""
        self._read()
        return self._secret

    def owner(self, text: str) -> Token | None:
        """The token with this text; it takes the same time for all that are wrong."""
        self._read()
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.token.encode(), text.encode("utf-8", "replace")):
                found = token
        return found

    def named(self, name: str) -> Token | None:
        """The token of this name, if there still is one."""
        self._read()
        return next((token for token in self._tokens if token.name == name), None)

    def _read(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size, found.st_mode)
            if stamp == self._stamp:
                return
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise StoreError(f"{self._path} can be read by others: chmod 600 {self._path}, and change its tokens")
            plain = json.loads(self._path.read_text(encoding="utf-8"))
            tokens = tuple(Token(str(t["name"]), str(t["role"]), str(t["token"])) for t in plain["tokens"])
            secret = bytes.fromhex(plain["secret"])
            json.dumps(plain, ensure_ascii=False).encode()  # ValueError for halves of characters
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{self._path} cannot be read ({type(error).__name__}): restore it, or delete it for new tokens"
            ) from None
        for token in tokens:
            if token.role not in ROLES or len(token.token) < 16:
                raise StoreError(
                    f"{self._path}: token {token.name!r} must have 16 characters or more and the role read or run"
                )
        # A session knows its token by the name, and the record of changes says who it was by it.
        if len({token.name for token in tokens}) < len(tokens):
            raise StoreError(f"{self._path}: two tokens have one name: give each a name of its own")
        if len(secret) < 16:
            raise StoreError(f"{self._path}: secret must have 32 hex digits or more: delete the file for new ones")
        self._tokens, self._secret, self._stamp = tokens, secret, stamp
