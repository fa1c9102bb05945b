"""``Session``: tells in the results folder what a run is doing, and stops the run when it is asked to.

    sessions/<id>.json      state, counts, rate; written anew every few seconds
    sessions/<id>.stop      somebody asks this run to stop
    logs/<id>-<n>.jsonl     one line per trial, and what happened on the way

Whoever can read the folder sees what a run does, from any machine, with the cluster up or down.
"""

import dataclasses
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import one_line
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import EventHandler, SessionLog, utc_now
from vcm_sweep.sweep.session.state import SESSIONS, SessionState, close_dead_runs, new_id, read_sessions, write_state
from vcm_sweep.sweep.session.tally import Figures, Tally
from vcm_sweep.sweep.trial import TrialRecord

# Between two states: a disk is quick, and an object store counts its requests.
_TICK_S, _TICK_OBJECT_STORE_S = 2.0, 5.0
_STUDY = "study.toml"  # a results folder that has it no more was deleted


class Session:
    """Writes the state and the log of the current run into its results folder, and stops the run on request.

    Give it to ``run`` as ``progress``, and hold it in a ``with`` around the call:

        with Session(directory, command="vcm-sweep run study.toml") as session:
            run(study, executor, directory, session)

    It writes from the first report on, when the folder is this run's alone; a run that was submitted has a state
    already, and keeps it up from the start. A request to stop, SIGTERM, a lost terminal (SIGHUP) and a folder that is
    deleted become a KeyboardInterrupt in the main thread. A folder that refuses a state or a line does not end the run.

    Args:
        where: results folder.
        command: the command that continues the run.
        id: id of a run that was submitted; None: a new run.
        activity: function that gives the number of running packs by node, as ``Executor.activity``.
        doing: function that gives what takes long, as ``Executor.doing``.
        held: failures that the folder holds from before and keeps, by status.
    """

    def __init__(
        self,
        where: "str | os.PathLike[str] | Folder",
        command: str = "",
        id: str | None = None,
        activity: Callable[[], dict[str, int]] | None = None,
        held: Mapping[str, int] | None = None,
        doing: Callable[[], str] | None = None,
    ) -> None:
        self.folder = where if isinstance(where, Folder) else Folder(os.fspath(where))
        self.activity, self.doing = activity, doing
        self._submitted = id is not None
        tick = _TICK_S if self.folder.local is not None else _TICK_OBJECT_STORE_S
        self.state = SessionState(
            id or new_id(), socket.gethostname(), os.getpid(), command, started=utc_now(), tick_s=tick
        )
        self._tally = Tally(held=held)
        self._log = SessionLog(self.folder, self.state.id)
        self._handler: EventHandler | None = None
        self._level = logging.NOTSET
        self._signals: dict[signal.Signals, Any] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._asked = self._reported = self._held = False

    @property
    def figures(self) -> Figures:
        """How far the run is."""
        with self._lock:
            return self._tally.figures(self.activity() if self.activity else None, self.doing() if self.doing else "")

    def __enter__(self) -> "Session":
        if threading.current_thread() is threading.main_thread():
            self._heed_signals()
        if self._submitted:
            self._take_up()
            self._begin()
        return self

    def __call__(self, done: int, total: int, records: list[TrialRecord]) -> None:
        """Take in what ``run`` reports."""
        with self._lock:
            self._tally.take(done, total, records)
        if not self._reported:
            self._reported = True
            with suppress(OSError):
                self._held = self.folder.exists(_STUDY)
                close_dead_runs(self.folder, self.state.id)
        if self._thread is None:
            self._begin()
        # ray.init puts a handler of its own in place of ours, which would end the run without its last records.
        if self._signals and signal.getsignal(signal.SIGTERM) != self._interrupt:
            signal.signal(signal.SIGTERM, self._interrupt)
        for record in records:
            level = "info" if record.status == "ok" else "warning"
            self._log.write(
                "trial", level, key=record.key, point=record.point, replicate=record.replicate, status=record.status,
                reason=record.reason, accuracy=record.accuracy, wall_s=record.wall_s,
                node=record.node, attempts=record.attempts,
            )  # fmt: skip

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The run is over: a request to stop that comes now must not interrupt what follows.
        for number in self._signals:
            signal.signal(number, lambda *_: None)
        with self._lock:
            self._over.set()
        for number, handler in self._signals.items():
            signal.signal(number, handler)
        if self._thread is None:
            return
        self._thread.join()
        state, reason = self._end(error)
        self._log.write(state, "info" if state == "done" else "warning", **({"reason": reason} if reason else {}))
        logger = logging.getLogger("vcm_sweep")
        if self._handler is not None:
            logger.removeHandler(self._handler)
            logger.setLevel(self._level)
        try:
            self._log.close()
            self._write(state, reason)
            self.folder.delete(f"{SESSIONS}/{self.state.id}.stop")
        except OSError as failure:
            logger.warning("%s does not take the last state of this run: %s", self.folder, one_line(failure))

    def fail(self, reason: str) -> None:
        """End as failed, from any thread: for a process that is about to end without leaving the ``with``."""
        with self._lock:
            self._over.set()
        if self._thread is None:
            return
        self._thread.join(self.state.tick_s)
        self._log.write("failed", "warning", reason=reason)
        with suppress(OSError):
            self._log.close()
            self._write("failed", reason)

    def _take_up(self) -> None:
        """Keep what the submitter wrote into the state: the time, and the job and its cluster."""
        with suppress(OSError):
            for noted in read_sessions(self.folder):
                if noted.id == self.state.id:
                    self.state = dataclasses.replace(self.state, started=noted.started, job=noted.job, beat=noted.beat)

    def _begin(self) -> None:
        logger = logging.getLogger("vcm_sweep")
        self._level, self._handler = logger.level, EventHandler(self._log)
        logger.addHandler(self._handler)
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
        self._log.write("started", host=self.state.host, pid=self.state.pid, command=self.state.command)
        with suppress(OSError):
            self._write("running")
        self._thread = threading.Thread(target=self._keep_up, name="vcm-sweep-session", daemon=True)
        self._thread.start()

    def _keep_up(self) -> None:
        while not self._over.wait(self.state.tick_s):
            with suppress(OSError):
                try:
                    self._log.flush()
                    self._write("running")
                except OSError:
                    # A full disk takes no state, and still tells that this run lives.
                    self.folder.touch(f"{SESSIONS}/{self.state.id}.json")
            # Separate from the lines above: if a full disk refuses the state, a request to stop is still seen.
            with suppress(OSError):
                asked = self.folder.exists(f"{SESSIONS}/{self.state.id}.stop")
                if not self._asked and (asked or (self._held and not self.folder.exists(_STUDY))):
                    self._asked = True
                    self._log.write("stop asked for" if asked else "folder deleted")
                    self._interrupt_main()

    def _write(self, state: str, reason: str = "") -> None:
        self.state = dataclasses.replace(
            self.state, state=state, reason=reason, seen=utc_now(), beat=self.state.beat + 1, figures=self.figures
        )
        write_state(self.folder, self.state)

    def _end(self, error: BaseException | None) -> tuple[str, str]:
        if error is None:
            return "done", ""
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return ("stopped" if self._asked else "interrupted"), ""
        # Our own errors are sentences for the user; for others the type is needed too.
        return "failed", str(error) if isinstance(error, VcmSweepError) else one_line(error)

    def _heed_signals(self) -> None:
        """SIGTERM and SIGINT raise KeyboardInterrupt, also where the parent blocked or ignored them: Ray blocks SIGINT
        in the drivers of jobs, and shells ignore it in the background. SIGHUP does, unless nohup ignores it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        heeded = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            heeded.append(signal.SIGHUP)
        for number in heeded:
            self._signals[number] = signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def _interrupt_main(self) -> None:
        with self._lock:
            if self._over.is_set():
                return
            main = threading.main_thread()
            if self._signals and main.ident is not None:
                # To the main thread itself, so that a wait of its own is woken.
                signal.pthread_kill(main.ident, signal.SIGINT)
