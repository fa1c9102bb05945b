"""The state of a run: a file in the results folder, written by the run and read by anyone who can read the folder."""

import dataclasses
import json
import math
import os
import re
import secrets as random_secrets
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import whole
from vcm_sweep.sweep.session.log import hide, secrets, utc_now
from vcm_sweep.sweep.session.tally import Figures

SESSIONS = "sessions"
_FRESH_S = 20.0
_LONGEST_TICK_S = 60.0
_LARGEST = 1_000_000  # bytes


@dataclass(frozen=True)
class SessionState:
    """A run, as its file says.

    Attributes:
        id: sorts by time. host, pid: of the driver. command: that goes on with it, for a shell.
        state: "submitted", "running", "done", "interrupted", "stopped" or "failed". reason: of a failure, one line.
        started, seen: UTC. beat: raised with every writing. tick_s: seconds between two.
        job: of Ray, with address and id, where the run was submitted.
        figures: how far it is.
    """

    id: str
    host: str = ""
    pid: int = 0
    command: str = ""
    state: str = "running"
    reason: str = ""
    started: str = ""
    seen: str = ""
    beat: int = 0
    tick_s: float = 2.0
    job: dict[str, str] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)

    @property
    def open(self) -> bool:
        """Whether the file says that the run is not over."""
        return self.state in ("submitted", "running")

    @classmethod
    def from_plain(cls, plain: Any) -> "SessionState":
        """From JSON; fields of a later version are left out. ValueError for what is no state."""
        # The id is part of file names.
        if not isinstance(plain, dict) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", str(plain.get("id"))):
            raise ValueError("no session")
        known = _known(cls, plain)
        figures = known.pop("figures", {})
        state = cls(**known, figures=Figures(**_known(Figures, figures if isinstance(figures, dict) else {})))
        _check_kinds(state, cls(""))
        _check_kinds(state.figures, Figures())
        uses = state.figures.nodes.values()
        told = all(isinstance(use, dict) and {"packs", "trials"} <= use.keys() for use in uses)
        named = all(isinstance(word, str) for word in state.job.values())
        # Readers wait for several ticks, so a tick must be short.
        timed = not state.seen or math.isfinite(age_s(state.seen))
        if not (0 < state.tick_s <= _LONGEST_TICK_S and timed and told and named):
            raise ValueError("no session")
        for use in (state.figures.failures, *uses):
            for count in use.values():
                whole(count)
        return state


def _check_kinds(given: Any, usual: Any) -> None:
    """ValueError for fields of another kind than usual: numbers, text, tables; null where there is none yet."""
    for name, value in vars(given).items():
        default = getattr(usual, name)
        kind = float if default is None else type(default)
        right = isinstance(value, int | float if kind is float else kind) or (value is None and default is None)
        if not right or isinstance(value, bool):
            raise ValueError(f"{name} = {value!r}")
        if isinstance(value, int):
            whole(value)


def _known(kind: Any, plain: dict[str, Any]) -> dict[str, Any]:
    return {f.name: plain[f.name] for f in dataclasses.fields(kind) if f.name in plain}


def new_id() -> str:
    """An id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{random_secrets.token_hex(2)}"


def write_state(folder: Folder, state: SessionState) -> None:
    """Put a run's state into its folder."""
    text = hide(json.dumps(dataclasses.asdict(state), indent=1), secrets())
    folder.write(f"{SESSIONS}/{state.id}.json", text.encode())


def read_sessions(folder: Folder) -> list[SessionState]:
    """The runs of a results folder, the oldest first; what is no state is left out."""
    found = []
    for name in folder.names(SESSIONS, ".json"):
        with suppress(ValueError, FileNotFoundError, TypeError):
            found.append(SessionState.from_plain(folder.read_json(f"{SESSIONS}/{name}", _LARGEST)))
    return found


def pulse(folder: Folder, session: SessionState) -> tuple[int, float]:
    """What changes while a run lives: its beat, or where the disk takes no state, the time of its file."""
    return session.beat, folder.touched(f"{SESSIONS}/{session.id}.json")


def waits_for_disk(folder: Folder, session: SessionState) -> bool:
    """Whether a run lives that can no longer write its state, because the disk is full; on a disk alone."""
    touched = folder.touched(f"{SESSIONS}/{session.id}.json")
    late_s = touched - datetime.fromisoformat(session.seen).timestamp() if touched and session.seen else 0.0
    # Clocks may differ, so a state that is fresh by ours is believed.
    return session.state == "running" and late_s > 3 * session.tick_s and not 0 <= age_s(session.seen) <= _FRESH_S


def latest_session(folder: Folder) -> SessionState | None:
    """The run that matters: one that says it is running, else the latest."""
    sessions = read_sessions(folder)
    candidates = [s for s in sessions if s.state == "running"] or sessions
    return candidates[-1] if candidates else None


def close_dead_runs(folder: Folder, successor: str) -> None:
    """Mark runs as interrupted whose state says that they are running, now that ``successor`` holds the folder alone.

    A running one is marked whatever its id. One that was only submitted may still start, so it is marked only if its id
    is older.
    """
    for other in read_sessions(folder):
        if other.id != successor and (other.state == "running" or (other.open and other.id < successor)):
            reason = f"it was not heard of any more when {successor} took over"
            write_state(folder, dataclasses.replace(other, state="interrupted", reason=reason))


def mark_failed(folder: Folder, session: str, reason: str) -> None:
    """Write why a run failed that could not do so itself; the state of a run that is already over is not changed."""
    for state in read_sessions(folder):
        if state.id == session and state.open:
            write_state(
                folder, dataclasses.replace(state, state="failed", reason=reason, seen=utc_now(), beat=state.beat + 1)
            )


def request_stop(folder: Folder, session: str) -> None:
    """Ask a run to stop; within seconds it does what it would do after Ctrl-C."""
    folder.write(f"{SESSIONS}/{session}.stop", b"")


def silent_sessions(runs: Sequence[tuple[Folder, SessionState]]) -> set[str]:
    """Ids of the runs whose state says that they are running although they no longer are.

    A state that looks fresh is believed, unless its process was on this host and does not exist any more. Otherwise,
    since clocks of two machines may differ and may jump, its beat is watched for several ticks. This may take a quarter
    of a minute for all runs together.
    """
    running = [(folder, s) for folder, s in runs if s.state == "running"]
    suspect = [(folder, s, pulse(folder, s)) for folder, s in running
               if _gone(s) or not 0 <= age_s(s.seen) <= _FRESH_S]  # fmt: skip
    until = time.monotonic() + 3 * max((s.tick_s for _, s, _ in suspect), default=0.0)
    while suspect and time.monotonic() < until:
        time.sleep(0.5)
        suspect = [(folder, s, before) for folder, s, before in suspect if not _moved(folder, s, before)]
    return {s.id for _, s, _ in suspect}


def _gone(session: SessionState) -> bool:
    """Whether the driver was on this host and is gone. Hosts may share a name, so its beat is watched as well."""
    if session.host != socket.gethostname() or session.pid <= 0:
        return False
    try:
        os.kill(session.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # somebody else's: it is there
    return False


def _moved(folder: Folder, session: SessionState, before: tuple[int, float]) -> bool:
    return any(now.id == session.id and (now.state != session.state or pulse(folder, now) != before)
               for now in read_sessions(folder))  # fmt: skip


def age_s(when: str) -> float:
    """Seconds since a time of a session, by this machine's clock; infinite for what is no time."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(when)).total_seconds()
    except (ValueError, TypeError):
        return float("inf")
