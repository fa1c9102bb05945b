"""Runs on this machine: a process of its own for each, which the service's end does not end."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vcm_sweep.cluster.options import in_words
from vcm_sweep.cluster.running.watched import COMMAND_VARIABLE, SESSION_VARIABLE
from vcm_sweep.cluster.service.processes import Processes, last_bytes, last_line, locked
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import (
    SessionState,
    close_dead_runs,
    mark_failed,
    new_id,
    read_sessions,
    write_state,
)

_LAST_BYTES = 4000


class Runs:
    """The runs of a service on its machine; a search for tolerances is named as its folder is: STUDY/tolerance.

    Args:
        settings: of the service; one service holds its folder alone. processes: that it starts.

    Raises:
        StoreError: another service runs with this folder.
    """

    def __init__(self, settings: ServiceSettings, processes: Processes) -> None:
        self._settings, self._processes = settings, processes
        self._alone = open(settings.home / "lock", "a", encoding="utf-8")  # noqa: SIM115
        if not locked(self._alone):
            raise StoreError(f"{settings.root} is served by another process: stop that one, or give another --root")

    def close(self) -> None:
        """Let another service have the folder; runs go on."""
        self._alone.close()

    def live(self, study: str) -> bool:
        """Whether a run of this study, started here, lives."""
        return self._processes.live(self._file(study, "lock"))

    def start(self, study: str, words: Sequence[str]) -> str:
        """Start ``vcm-sweep WORDS`` as the study's run, and return its id.

        Raises:
            ConflictError: a run of the study lives. StoreError: its folder cannot be written, or has links.
        """
        folder = self._settings.folder(study)
        folder.refuse_links()
        command = ["vcm-sweep", *words, *in_words(replace(self._settings.place, address=None))]
        refusal = f"{study}: a run is under way: watch it, or stop it first"
        with self._processes.claimed(self._file(study, "lock"), refusal) as begin:
            session = new_id()
            state = SessionState(session, os.uname().nodename, 0, shlex.join(command), "submitted")
            variables = {SESSION_VARIABLE: session, COMMAND_VARIABLE: shlex.join(command)}
            try:
                # Nothing else runs there: what is asked of the study from now on is asked of this run.
                close_dead_runs(folder, session)
                write_state(folder, replace(state, started=utc_now(), seen=utc_now()))
                begin(command[1:], self._file(study, "out"), self._settings.working, variables)
            except OSError as error:
                raise StoreError(f"{folder}: no run could be started there ({error.strerror}): make room") from None
        return session

    def close_dead(self, study: str, session: SessionState) -> SessionState:
        """The state of a run as it is: one that ended before it could say so is marked as failed, with its last line.

        A state is changed on the disk only where this machine started the run.
        """
        if not session.open or session.job or session.host != os.uname().nodename or self.live(study):
            return session
        folder = self._settings.folder(study)
        why = self.last_line(study) or "it ended before it began"
        try:
            if session.state == "submitted":
                mark_failed(folder, session.id, why)
            # What was written between the look at its state and the look at its lock counts.
            return next((now for now in read_sessions(folder) if now.id == session.id), session)
        except (OSError, StoreError):
            # A folder that cannot be written, as somebody else's or on a full disk, is told of all the same.
            return session if session.state == "running" else replace(session, state="failed", reason=why)

    def last_line(self, study: str) -> str:
        """The last line that a study's run has printed, without the name of the program."""
        return last_line(self.printed(study))

    def printed(self, study: str) -> str:
        """The end of what a study's run has printed."""
        return last_bytes(self._file(study, "out"), _LAST_BYTES)

    def _file(self, study: str, ending: str) -> Path:
        # No folder of a study has a ~ in its name.
        return self._settings.runs / f"{study.replace('/', '~')}.{ending}"
