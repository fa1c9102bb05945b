"""The studies of a service: what its folder holds, at a glance."""

import json
import os
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vcm_sweep.analysis.tolerance.answer import FOLDER as TOLERANCE
from vcm_sweep.cluster.service.problems import NotFoundError, ServiceError
from vcm_sweep.cluster.service.settings import MAX_NOTE, MAX_STUDY, ServiceSettings
from vcm_sweep.cluster.service.studies.runs import Runs
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder, in_words
from vcm_sweep.sweep.session.state import SessionState, age_s, pulse, read_sessions, waits_for_disk
from vcm_sweep.sweep.store.frozen import STUDY
from vcm_sweep.sweep.store.manifest import Manifest
from vcm_sweep.sweep.study.tables.toml_text import read_toml

NOTE = "note.txt"
SEARCH = f"/{TOLERANCE}"
"""Ends the id of a study's search for tolerances, which has a folder of its own in that of the study."""
LARGEST_STUDY = 4 * MAX_STUDY
"""Bytes of a study file that is read."""

ORDERS = ("changed", "name", "state", "done", "best")
"""By what the list can be sorted."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}")
_HASHED = re.compile(r"(.+)-[0-9a-f]{8}")
# A folder that was written a moment ago may be written again within the same tick of the disk's clock.
_SETTLED_NS = 2_000_000_000
_SILENT_TICKS = 5
_LONGEST_NAME, _LONGEST_REASON = 120, 1000


@dataclass(frozen=True)
class StudyCard:
    """A study in the list.

    Attributes:
        id: name of its folder; of a search for tolerances that of its study, with ``/tolerance`` at its end.
        name: of the study; several folders may have one name.
        state: of its latest run: submitted, running, silent, disk full, done, interrupted, stopped or failed; "new"
            where none has begun, "unreadable" where the folder is torn, and ``reason`` says why.
        done, planned: trainings with a record, and of the design; None where no run has said so yet.
        failed: trainings of the latest run without a result.
        doing: what takes long just now, as compiling the kernels; "" for nothing.
        best: highest accuracy of its runs. rate_per_h, eta_s: of one that runs.
        changed: seconds of the epoch of the last change. host: of the latest run. note: of whoever owns it.
    """

    id: str
    name: str
    state: str = "new"
    reason: str = ""
    done: int | None = None
    planned: int | None = None
    failed: int = 0
    doing: str = ""
    best: float | None = None
    rate_per_h: float | None = None
    eta_s: float | None = None
    changed: float = 0.0
    host: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Known:
    """A card as its folder was at some times, with its latest run."""

    times: tuple[int, int]
    card: StudyCard
    session: SessionState | None


class Catalogue:
    """What is in a service's folder. Nothing is kept but what was read last, which may be thrown away at any time.

    Args:
        settings: of the service. runs: those of this machine.
    """

    def __init__(self, settings: ServiceSettings, runs: Runs) -> None:
        self._settings, self._root, self._runs = settings, settings.root, runs
        self._known: dict[str, _Known] = {}
        self._pulses: dict[str, tuple[object, float]] = {}
        # Of these two, held for no longer than it takes to look into them; the other is of reading all folders.
        self._mutex, self._one = threading.Lock(), threading.Lock()

    def warm(self) -> None:
        """Begin to read all folders, and wait for nothing: whoever asks for the list first finds most of them read."""
        threading.Thread(target=self._read_all, daemon=True).start()

    def _read_all(self) -> None:
        with suppress(StoreError, OSError):  # whoever asks is told
            self._cards("")

    def studies(
        self, state: str = "", search: str = "", order: str = "changed", descending: bool = True
    ) -> list[StudyCard]:
        """The cards of all studies, or of those in a state, or with a text in id or note.

        Raises:
            ServiceError: no such order. StoreError: the folder cannot be read.
        """
        if order not in ORDERS:
            raise ServiceError(f"order = {order!r} must be one of {', '.join(ORDERS)}")
        cards = self._cards("")
        wanted = search.casefold()
        shown = [
            card for card in cards
            if state in ("", card.state) and (wanted in card.id.casefold() or wanted in card.note.casefold())
        ]  # fmt: skip
        return sorted(shown, key=lambda card: (_rank(card, order), card.id), reverse=descending)

    def searches(self) -> list[StudyCard]:
        """The cards of all searches for tolerances, the latest first; StoreError: the folder cannot be read."""
        return sorted(self._cards(SEARCH), key=lambda card: (-card.changed, card.id))

    def card(self, study: str) -> StudyCard:
        """One card; NotFoundError where there is no such study."""
        return self._alive(self._there(study))

    def session(self, study: str) -> SessionState | None:
        """The latest run of a study; None where none has begun."""
        known = self._there(study)
        self._alive(known)
        return known.session

    def folder(self, study: str) -> Folder:
        """The folder of a study or a search, which is in the service's own; NotFoundError where there is none.

        What is in it may be anybody's: no link is followed, neither to read nor to write.
        """
        name, folder = study.removesuffix(SEARCH), self._settings.folder(study)
        if not _ID.fullmatch(name) or (self._root / name).is_symlink() or not folder.is_file(STUDY):
            raise _missing(study)
        return folder

    def _cards(self, ending: str) -> list[StudyCard]:
        """The cards of the folders in the root, or with ``/tolerance`` of the searches in these."""
        try:
            with os.scandir(self._root) as entries:
                # No link is followed, since it may lead anywhere.
                folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError as error:
            raise StoreError(f"{self._root} cannot be read ({error.strerror}): is it mounted?") from None
        names = [name + ending for name in folders if _ID.fullmatch(name)]
        # Of many who ask at once one reads the folders, and the others find them read.
        with self._one:
            found = {name: known for name in names if (known := self._look(name)) is not None}
        with self._mutex:
            gone = [name for name in self._known if name not in found and name.endswith(SEARCH) == bool(ending)]
            for name in gone:
                del self._known[name]
                self._pulses.pop(name, None)
        return [self._alive(known) for known in found.values()]

    def _there(self, study: str) -> _Known:
        self.folder(study)
        known = self._look(study)
        if known is None:
            raise _missing(study)
        return known

    def _look(self, name: str) -> _Known | None:
        """A study as it was when it was read last, which is now if it has changed; None if it is none."""
        folder = self._settings.folder(name)
        times = int(1e9 * folder.touched("")), int(1e9 * folder.touched("sessions"))
        known = self._known.get(name)
        if known is None or known.times != times or time.time_ns() - max(times) < _SETTLED_NS:
            if not folder.is_file(STUDY):
                return None
            known = self._read(name, folder, times)
            with self._mutex:
                self._known[name] = known
        return known

    def _read(self, name: str, folder: Folder, times: tuple[int, int]) -> _Known:
        card = StudyCard(name, name, changed=max(times) / 1e9)
        try:
            sessions = read_sessions(folder)
            text = folder.read(STUDY, LARGEST_STUDY).decode()
            card = replace(card, name=_name(text, name), note=read_note(folder))
            if not sessions:
                # A run by the Python API says nothing; its parts do.
                rows = sum(part.rows for part in Manifest.read(folder).parts.values())
                return _Known(times, replace(card, done=rows or None), None)
        except (OSError, ValueError, VcmSweepError) as error:
            why = in_words(error) if isinstance(error, OSError) else str(error)
            return _Known(times, replace(card, state="unreadable", reason=why[:300]), None)
        # Ids name the second, and two runs may begin in one.
        candidates = [session for session in sessions if session.state == "running"] or sessions
        session = max(candidates, key=lambda session: (session.started, session.id))
        best = [own.figures.best for own in sessions if own.figures.best is not None]
        return _Known(times, replace(card, best=max(best, default=None)), session)

    def _alive(self, known: _Known) -> StudyCard:
        """The card with the state of its run as it is now."""
        session = known.session
        if session is None:
            return known.card
        state = session.state
        if session.open:
            session = self._runs.close_dead(known.card.id, session)
            state = self._felt(known.card.id, session)
        figures = session.figures
        running = state == "running"
        return replace(
            known.card,
            state=state,
            reason=session.reason[:_LONGEST_REASON],
            done=figures.done if figures.total else known.card.done,
            planned=figures.total or None,
            failed=figures.failed,
            doing=figures.doing[:_LONGEST_REASON] if running else "",
            rate_per_h=figures.rate_per_h if running else None,
            eta_s=figures.eta_s if running else None,
            host=session.host[:_LONGEST_NAME],
        )

    def _felt(self, study: str, session: SessionState) -> Literal["running", "silent", "disk full"] | str:
        """The state of a run that says it is not over: whether its pulse is felt."""
        if session.state != "running" or self._runs.live(study):
            return session.state
        if _ended_here(session):
            return "silent"
        folder = self._settings.folder(study)
        beat, now = (session.id, pulse(folder, session)), time.monotonic()
        with self._mutex:
            before, since = self._pulses.get(study, (None, now))
            if before != beat:
                since = now
            self._pulses[study] = (beat, since)
        # A state that is fresh by this machine's clock is believed; clocks may differ, so else its pulse is waited for.
        fresh = 0 <= age_s(session.seen) <= 2 * _SILENT_TICKS * session.tick_s
        if not fresh and now - since > _SILENT_TICKS * session.tick_s:
            return "silent"
        return "disk full" if waits_for_disk(folder, session) else "running"


def read_note(folder: Folder) -> str:
    """What the owner of a study has noted; "" where that is nothing."""
    try:
        return folder.read(NOTE, 4 * MAX_NOTE).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _ended_here(session: SessionState) -> bool:
    """Whether a run was on this machine, and its process is there no more."""
    if session.host != socket.gethostname() or session.pid <= 0:
        return False
    return not Path(f"/proc/{session.pid}").exists()


def _name(text: str, study: str) -> str:
    hashed = _HASHED.fullmatch(study)
    if hashed:
        return hashed[1]
    plain: Any = read_toml(text)
    named = isinstance(plain.get("study"), dict) and "name" in plain["study"]
    return str(plain["study"]["name"])[:_LONGEST_NAME] if named else study


def _rank(card: StudyCard, order: str) -> tuple[bool, Any]:
    """By what a card is sorted: those without a value come last where the highest comes first."""
    value = getattr(card, order)
    return value is not None, value if value is not None else 0


def _missing(study: str) -> NotFoundError:
    shown = json.dumps(study[:80])
    return NotFoundError(f"there is no study {shown} here: it may have been moved or deleted; the list has all")
