"""Runs on this machine: a process of its own for each, which the service's end does not end.

A run holds the lock ``runs/<study>.lock``, which it was given open: the system releases it when the run ends, in
whatever way, and not before. So a service that was killed and started anew sees which runs live, and no study ever has
two.
"""

import fcntl
import os
import shlex
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from vcm_sweep.cluster.options import in_words
from vcm_sweep.cluster.running.watched import COMMAND_VARIABLE, SESSION_VARIABLE
from vcm_sweep.cluster.service.problems import ConflictError
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import SessionState, mark_failed, new_id, read_sessions, write_state

_LAST_BYTES = 4000


class Runs:
    """The runs of a service on its machine.

    Args:
        settings: of the service; one service holds its folder alone.

    Raises:
        StoreError: another service runs with this folder.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._alone = open(settings.home / "lock", "a", encoding="utf-8")  # noqa: SIM115
        if not _locked(self._alone):
            raise StoreError(f"{settings.root} is served by another process: stop that one, or give another --root")

    def close(self) -> None:
        """Let another service have the folder; runs go on."""
        self._alone.close()

    def live(self, study: str) -> bool:
        """Whether a run of this study, started here, lives."""
        with self._mutex:
            return self._live(study)

    def start(self, study: str, words: Sequence[str]) -> str:
        """Start ``vcm-sweep WORDS`` as the study's run, and return its id.

        Raises:
            ConflictError: a run of the study lives. StoreError: its folder cannot be written.
        """
        folder = self._settings.root / study
        command = ["vcm-sweep", *words, *in_words(replace(self._settings.place, address=None))]
        with self._mutex, open(self._settings.runs / f"{study}.lock", "a", encoding="utf-8") as lock:
            self._reap(study)
            if not _locked(lock):
                raise ConflictError(f"{study}: a run is under way: watch it, or stop it first")
            session = new_id()
            state = SessionState(session, os.uname().nodename, 0, shlex.join(command), "submitted")
            try:
                write_state(Folder(folder), replace(state, started=utc_now(), seen=utc_now()))
                with open(self._printed(study), "wb") as printed:
                    self._children[study] = subprocess.Popen(
                        [*self._settings.program, *command[1:]],
                        stdin=subprocess.DEVNULL,
                        stdout=printed,
                        stderr=subprocess.STDOUT,
                        cwd=self._settings.working,
                        env={**os.environ, SESSION_VARIABLE: session, COMMAND_VARIABLE: shlex.join(command)},
                        pass_fds=[lock.fileno()],
                        start_new_session=True,
                    )
            except OSError as error:
                raise StoreError(f"{folder}: no run could be started there ({error.strerror}): make room") from None
        return session

    def close_dead(self, study: str, session: SessionState) -> SessionState:
        """The state of a run as it is: one that ended before it could say so is marked as failed, with its last line.

        A state is changed on the disk only where this machine started the run.
        """
        if not session.open or session.job or session.host != os.uname().nodename or self.live(study):
            return session
        folder = Folder(self._settings.root / study)
        if session.state == "submitted":
            mark_failed(folder, session.id, self.last_line(study) or "it ended before it began")
        # What was written between the look at its state and the look at its lock counts.
        return next((now for now in read_sessions(folder) if now.id == session.id), session)

    def last_line(self, study: str) -> str:
        """The last line that a study's run has printed, without the name of the program."""
        lines = [line for line in self.printed(study).splitlines() if line.strip()]
        return lines[-1].strip().removeprefix("vcm-sweep: ") if lines else ""

    def printed(self, study: str) -> str:
        """The end of what a study's run has printed."""
        try:
            with open(self._printed(study), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _printed(self, study: str) -> Path:
        return self._settings.runs / f"{study}.out"

    def _live(self, study: str) -> bool:
        self._reap(study)
        try:
            with open(self._settings.runs / f"{study}.lock", encoding="utf-8") as lock:
                return not _locked(lock)
        except FileNotFoundError:
            return False

    def _reap(self, study: str) -> None:
        """Take the exit code of a run that has ended, without which its process would stay in the system's table."""
        child = self._children.get(study)
        if child is not None and child.poll() is not None:
            del self._children[study]


def _locked(file: IO[str]) -> bool:
    """Lock a file until it is closed here and in every process that was given it; False where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
