"""The structured log of a run: JSON lines in logs/ of its results folder, in segments."""

import json
import logging
import math
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from pyarrow import NativeFile

from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import parse_json

LOGS = "logs"
_SEGMENT_BYTES = 1_000_000
_PIECE_BYTES, _MOST_BYTES = 1 << 16, 1 << 24
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_SECRET_NAMES = re.compile(
    r"SECRET|TOKEN|PASSW|PASSPHRASE|PGPASS|CREDENTIAL|(^|_)(PASS|PWD|PAT)$"
    r"|(ACCESS|ACCOUNT|API|AUTH|ENCRYPTION|PRIVATE|SIGNING|STORAGE)_?KEY"
)


def utc_now() -> str:
    """The time, as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class SessionLog:
    """Writes the lines of one run.

    On a disk each line is appended at once. Object stores cannot append: there :meth:`flush` writes the whole current
    segment again. A segment ends at 1 MB. Values of secret environment variables are never written.

    Args:
        folder: of the results. session: id of the run; segments are ``logs/<id>-<number>.jsonl``.
    """

    def __init__(self, folder: Folder, session: str, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self._folder, self._session, self._limit = folder, session, segment_bytes
        self._lock = threading.Lock()
        self._secrets = secrets()
        self._number = 1
        self._size = 0
        self._lines: list[bytes] = []
        self._full: list[tuple[str, bytes]] = []
        self._changed = False
        self._file: IO[bytes] | None = None

    def write(self, event: str, level: str = "info", **values: Any) -> None:
        """Add a line. If the disk refuses it the line is lost, since a log must not end a run."""
        content = {"time": utc_now(), "level": level, "event": event} | _plain(values)
        line = hide(json.dumps(content), self._secrets).encode() + b"\n"
        with self._lock:
            if self._size + len(line) > self._limit and self._size:
                self._roll()
            self._size += len(line)
            if self._folder.local is None:
                self._lines.append(line)
                self._changed = True
            else:
                self._append(line)

    def flush(self) -> None:
        """Put what has changed into the object store; OSError where it refuses. Nothing to do on a disk."""
        with self._lock:
            full = list(self._full)
            current = (self._name(), b"".join(self._lines)) if self._changed else None
            self._changed = False
        try:
            # Written without holding the lock, so that the run can go on logging while the store is slow.
            for name, content in [*full, *([current] if current else [])]:
                self._folder.write(name, content)
        except OSError:
            with self._lock:
                self._changed = self._changed or current is not None
            raise
        with self._lock:
            self._full = self._full[len(full) :]

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, line: bytes) -> None:
        with suppress(OSError):
            if self._file is None:
                path = Path(self._folder.path) / self._name()
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(path, "ab", buffering=0)  # noqa: SIM115
            self._file.write(line)

    def _roll(self) -> None:
        if self._folder.local is None:
            self._full.append((self._name(), b"".join(self._lines)))
            self._lines, self._changed = [], False
        elif self._file is not None:
            self._file.close()
            self._file = None
        self._number += 1
        self._size = 0

    def _name(self) -> str:
        return f"{LOGS}/{self._session}-{self._number:04d}.jsonl"


class EventHandler(logging.Handler):
    """Passes what is logged on "vcm_sweep", with its ``extra`` values, to a session's log."""

    def __init__(self, log: SessionLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        values = {name: value for name, value in vars(record).items() if name not in _STANDARD and name != "event"}
        event = str(getattr(record, "event", "message"))
        self._log.write(event, record.levelname.lower(), **{"message": record.getMessage(), **values})


def read_log(
    folder: Folder, session: str | None = None, after: Mapping[str, int] | None = None
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(segment, bytes of it that were read, line) of a run's log, or of all runs', in the order of their segments.

    Args:
        session: id of one run. after: bytes of each segment that are known already, as this gave them.

    A line that is only half there yet ends its segment.
    """
    known = after or {}
    newest = {name.rpartition("-")[0]: name for name in sorted(known)}
    for name in folder.names(LOGS, ".jsonl"):
        owner = name.rpartition("-")[0]
        # A segment is complete when there is a later one.
        if (session is not None and owner != session) or name < newest.get(owner, ""):
            continue
        try:
            content = folder.read(f"{LOGS}/{name}")
        except FileNotFoundError:
            continue
        position = known.get(name, 0)
        while (end := content.find(b"\n", position)) >= 0:
            line, position = content[position:end], end + 1
            for values in _lines(line):
                yield name, position, values


def last_lines(folder: Folder, session: str | None, most: int) -> list[dict[str, Any]]:
    """The last lines of a run's log, or of all runs', at most so many; of long segments the end alone is read."""
    found: list[dict[str, Any]] = []
    for name in reversed(folder.names(LOGS, ".jsonl")):
        if len(found) >= most:
            break
        if session is None or name.rpartition("-")[0] == session:
            with suppress(FileNotFoundError):
                found = _lines(folder.open(f"{LOGS}/{name}", partial(_end, lines=most - len(found)))) + found
    return found[-most:]


def _end(file: NativeFile, lines: int) -> bytes:
    """The last bytes of a file, from the end back until there are so many lines in them."""
    start, content = file.size(), b""
    while start > 0 and content.count(b"\n") <= lines and len(content) < _MOST_BYTES:
        before, start = start, max(0, start - _PIECE_BYTES)
        content = file.read_at(before - start, start) + content
    whole = content.partition(b"\n")[2] if start > 0 else content
    return whole[: whole.rfind(b"\n") + 1]


def secrets() -> tuple[str, ...]:
    """Values of the environment that must not be shown: keys, tokens, passwords; also as JSON writes them."""
    values = {value.strip() for name, value in os.environ.items() if _SECRET_NAMES.search(name.upper())}
    where = os.environ.get("RAY_AUTH_TOKEN_PATH")
    with suppress(OSError, ValueError, RuntimeError):
        values.add((Path(where) if where else Path.home() / ".ray" / "auth_token").read_text(encoding="utf-8").strip())
    # Paths and short words are not secrets, and hiding them would make lines unreadable.
    told = {v for v in values if len(v) >= 8 and not os.path.exists(v)}
    return tuple(sorted(told | {json.dumps(v)[1:-1] for v in told}, key=len, reverse=True))


def hide(text: str, hidden: tuple[str, ...]) -> str:
    """A text without the secrets in it."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def _lines(content: bytes) -> list[dict[str, Any]]:
    """The lines of a log; what is none is left out."""
    found = []
    for line in content.split(b"\n"):
        with suppress(ValueError):
            values = parse_json(line)
            if isinstance(values, dict):
                found.append(values)
    return found


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's types; a number that JSON lacks is null, anything else its text."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if value is None or isinstance(value, str | int):
            return value
        if isinstance(value, Mapping):
            return {str(name): plain(sub) for name, sub in value.items()}
        if isinstance(value, list | tuple):
            return [plain(sub) for sub in value]
        return str(value)

    return {name: plain(value) for name, value in values.items()}
