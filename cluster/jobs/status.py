"""The run part of ``vcm-sweep status``: what the latest run of a study is doing, read from its results folder."""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.jobs.job_list import seen_words
from vcm_sweep.cluster.terminal.live_view import Redrawn
from vcm_sweep.cluster.terminal.words import duration, log_line, view_lines
from vcm_sweep.sweep.errors import ExecutorError, StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import printable
from vcm_sweep.sweep.session.state import SessionState, age_s, latest_session, pulse, silent_sessions, waits_for_disk

_LINE_EVERY_S = 60.0


def latest_run(root: Path) -> str:
    """The results folder in ``root`` whose run began last; StoreError if none holds a run."""
    found = [(session.id, path) for path in root.glob("*/") if (session := latest_session(Folder(path))) is not None]
    if not found:
        raise StoreError(f"{root}/ here holds no run: give the results folder that run printed")
    return str(max(found)[1])


def run_status(where: str, plain: bool = False) -> dict[str, Any]:
    """The latest run of a results folder, as values for the terminal, or if ``plain``, all of it; {} without a run."""
    folder = Folder(where)
    session = latest_session(folder)
    if session is None:
        return {}
    silent = bool(silent_sessions([(folder, session)]))
    waits = not silent and waits_for_disk(folder, session)
    if plain:
        return {"run": dataclasses.asdict(session) | {"silent": silent, "waits_for_disk": waits}}
    values: dict[str, Any] = {
        "run": f"{session.id}: {'waits for the disk' if waits else _state(session, silent)}",
        "on": session.host or "-",
    }
    if session.reason:
        values["reason"] = session.reason
    values["started"] = f"{session.started[:19].replace('T', ' ')} UTC"
    if not session.open:
        values["took"] = duration(age_s(session.started) - age_s(session.seen))
    values["last_seen"] = f"{seen_words(session)} UTC"
    if waits:
        values["note"] = (
            "its disk takes nothing any more: what is finished is held in memory, and written once there is room"
        )
    elif session.state == "running" and not silent:
        values["now"] = log_line("running", session.figures).partition(": ")[2]
    elif session.state == "submitted" and session.job:
        values["ray_says"] = _what_ray_says(session)
    elif session.state == "submitted":
        values["note"] = "its process begins, and has written nothing yet"
    elif silent:
        values["note"] = f"its state is running, but nothing is heard of it any more; to go on: {session.command}"
    return values


def _what_ray_says(session: SessionState) -> str:
    """What Ray says of a job whose driver has not written anything yet; only the cluster knows whether it ever will."""
    from vcm_sweep.cluster.jobs.ray_jobs import RayJobs

    try:
        status, message = RayJobs(session.job.get("address", "")).status(session.job.get("id", ""))
    except ExecutorError as error:
        return str(error)
    return " ".join(f"{status} {message}".split())[:300]


def watch(where: str, name: str, interval_s: float, as_json: bool) -> None:
    """Show the latest run until it is over or silent; as JSON, one object per line whenever something has changed."""
    folder = Folder(where)
    shown: _OnScreen | _Told = _Told(name) if as_json or not sys.stdout.isatty() else _OnScreen(name)
    before: SessionState | None = None
    beat: tuple[int, float] | None = None
    since = time.monotonic()
    try:
        while (session := latest_session(folder)) is not None:
            now = time.monotonic()
            last, beat = beat, pulse(folder, session)
            since = since if before and (before.id, last) == (session.id, beat) else now
            # Silent means that the run's pulse has not been felt for five of its intervals, as measured here: the
            # clocks of the two machines may differ.
            silent = session.state == "running" and now - since > 5 * session.tick_s
            if as_json:
                if session != before or silent:
                    print(json.dumps(dataclasses.asdict(session) | {"silent": silent}), flush=True)
            else:
                shown.show(session, silent)
            if not session.open or silent:
                return
            before = session
            time.sleep(interval_s)
    finally:
        shown.close()


class _Told:
    """Prints one line per minute, for a file or a pipe."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = -_LINE_EVERY_S

    def show(self, session: SessionState, silent: bool) -> None:
        if time.monotonic() - self._last < _LINE_EVERY_S and session.open and not silent:
            return
        self._last = time.monotonic()
        told = f"{session.seen} {_state(session, silent)} {log_line(self._name, session.figures)}"
        print(printable(told), flush=True)

    def close(self) -> None:
        """Nothing to do."""


class _OnScreen:
    """Shows the lines of the live view, redrawn in place, on a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: list[str] = []
        self._redrawn: Redrawn | None = None

    def show(self, session: SessionState, silent: bool) -> None:
        name = f"{self._name} ({_state(session, silent)} on {session.host or '-'})"
        self._lines = view_lines(name, session.figures)
        if self._redrawn is None:
            self._redrawn = Redrawn(lambda: self._lines, sys.stdout)

    def close(self) -> None:
        if self._redrawn is not None:
            self._redrawn.close()


def _state(session: SessionState, silent: bool) -> str:
    return "silent" if silent else session.state
