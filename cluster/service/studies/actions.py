"""What changes something: start, resume, retry, extend and stop a study, and note something on it."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vcm_sweep.cluster.jobs.stopping import ask_to_stop
from vcm_sweep.cluster.options import RunOptions
from vcm_sweep.cluster.service.aside import aside
from vcm_sweep.cluster.service.problems import BusyError, ConflictError, ServiceError, TooLargeError
from vcm_sweep.cluster.service.settings import MAX_NOTE, MAX_STUDY, ServiceSettings
from vcm_sweep.cluster.service.studies.catalogue import LARGEST_STUDY, NOTE, Catalogue
from vcm_sweep.cluster.service.studies.checks import check, lengthen, make
from vcm_sweep.cluster.service.studies.keys import Keys, Started
from vcm_sweep.cluster.service.studies.own_code import check_own, with_own_cells
from vcm_sweep.cluster.service.studies.runs import Runs
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.running.running import FAILURES
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.store.frozen import STUDY
from vcm_sweep.sweep.study.study import Study

# A process ends some time after it has said that its run is over: Ray's workers are ended first.
_ENDING_S = 20.0
# Few threads answer requests: so many may be at a cluster that is silent, and wait for each other no longer.
_MOST_SENDING, _WAIT_S = 8, 5.0


@dataclass(frozen=True)
class Done:
    """What an action did.

    Attributes:
        study: the id. run: of the run that was started, or that goes on; "" where none does.
        fresh: whether this request started it; not where it had been started before.
        trials_added: by an extension.
    """

    study: str
    run: str = ""
    fresh: bool = True
    trials_added: int = 0


class Actions:
    """The changes that a service makes; each is whole or not at all, and two of one study come one after the other.

    Whoever waits for another's change longer than some seconds is told to ask again (BusyError).

    Args:
        settings: of the service. catalogue: its studies. runs: those of this machine.
    """

    def __init__(self, settings: ServiceSettings, catalogue: Catalogue, runs: Runs) -> None:
        self._settings, self._catalogue, self._runs = settings, catalogue, runs
        self._keys = Keys(settings.keys)
        self._mutex = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._sending = threading.BoundedSemaphore(_MOST_SENDING)

    def read(self, text: str) -> Study:
        """The study of a text, checked as ``vcm-sweep run`` does before it begins.

        Raises:
            TooLargeError: the text is too long. StudyError: it is no study that can be trained here.
        """
        if len(text) > MAX_STUDY:
            raise TooLargeError(too_long(text))
        if "\0" in text or _unwritable(text):
            raise StudyError("the study has characters that no text file has: save it as UTF-8, and paste it anew")
        study = Study.from_text(with_own_cells(text, self._settings.allow_code, self._settings.library))
        aside(check, study.text)
        return study

    def start(self, text: str, key: str = "", note: str = "") -> Done:
        """Make the folder of a study and start its run; one that runs already goes on.

        Args:
            text: of the study file. key: of this click; the same key never starts anything twice. note: on the study.

        Raises:
            StudyError, TooLargeError: as :meth:`read`. ConflictError: the key stands for another study.
            StoreError: the folder cannot be written. ExecutorError: the cluster does not take it.
        """
        _check_note(note)
        study = self.read(text)
        name = study.folder_name
        with self.alone(name, new=True):
            before = self._keys.get(key, name)
            if before is not None and before.run:
                return Done(name, self._run_of(name), fresh=False)
            self._keys.put(key, Started(name))
            # A run that is not started yet is started by the same key.
            self._make(study, note)
            # A job that waits at the cluster has not written anything yet.
            goes_on = self._catalogue.card(name).state == "submitted" or self.under_way(name)
            words = ["run", self._path(name, "study.toml"), "--out", self._path(name)]
            run = self._run_of(name) if goes_on else self._go_on(name, words, study)
            self._keys.put(key, Started(name, run=True))
            return Done(name, run, fresh=not goes_on)

    def make(self, text: str, note: str = "") -> Done:
        """Make the folder of a study, and start nothing; errors as :meth:`start`."""
        _check_note(note)
        study = self.read(text)
        with self.alone(study.folder_name, new=True):
            return Done(self._make(study, note))

    def _make(self, study: Study, note: str) -> str:
        """The id of a study whose folder is then there, whole or not at all."""
        name = study.folder_name
        self.make_folder(study, name)
        if note:
            self._write_note(name, note)
        return name

    def make_folder(self, study: Study, name: str) -> None:
        """The results folder of a study or a search, whole or not at all; errors as ``Store.create``."""
        aside(make, study.text, study.frozen, self._settings.root / name)

    def resume(self, study: str) -> Done:
        """Go on with a study; NotFoundError, ConflictError where a run of it is under way, or StudyError where it names
        what this service does not open."""
        with self.alone(study):
            self._check_goes_on(study)
            return Done(study, self._go_on(study, ["resume", self._path(study)]))

    def retry(self, study: str, only: Sequence[str] = ()) -> Done:
        """Run trials that failed once more; ``only``: of these statuses. Errors as :meth:`resume`."""
        for status in only:
            if status not in FAILURES:
                raise StudyError(f"only = {status!r} must be one or more of {', '.join(FAILURES)}")
        if only and self._settings.place.address:
            raise StudyError("only is not for studies on a cluster, where all failures are run again: leave it out")
        with self.alone(study):
            self._check_goes_on(study)
            words = ["retry", self._path(study), *(["--only", ",".join(only)] if only else [])]
            return Done(study, self._go_on(study, words, retry=True))

    def extend(
        self, study: str, to: int | None = None, replicates: int | None = None, replicate_rows: int | None = None
    ) -> Done:
        """Make a study longer, and run what is new; arguments as ``vcm-sweep extend`` has them.

        Raises:
            NotFoundError, ConflictError: as :meth:`resume`. StudyError: the design would not grow.
        """
        with self.alone(study):
            self._check_goes_on(study)
            self._catalogue.folder(study)
            added = aside(lengthen, self._settings.root / study, to, replicates, replicate_rows)
            return Done(study, self._go_on(study, ["resume", self._path(study)]), trials_added=added)

    def stop(self, study: str) -> Done:
        """Ask a study's run to stop, as Ctrl-C would; StoreError where none is under way."""
        folder = self._catalogue.folder(study)
        session = self._catalogue.session(study)
        if session is not None and session.open and self._runs.live(study):
            return Done(study, ask_to_stop(folder, session).id, fresh=False)
        return Done(study, ask_to_stop(folder).id, fresh=False)

    def note(self, study: str, text: str) -> None:
        """Write a note on a study, in place of the one before; "" takes it away."""
        _check_note(text)
        with self.alone(study):
            self._write_note(study, text)

    @contextmanager
    def alone(self, study: str, new: bool = False) -> Iterator[None]:
        """Let one change of a study or a search be made at a time; ``new``: its folder may still be missing.

        A cluster that does not answer must not hold up the others. NotFoundError; BusyError: it takes long.
        """
        if not new:
            self._catalogue.folder(study)
        with self._mutex:
            lock = self._locks.setdefault(study, threading.Lock())
        if not lock.acquire(timeout=_WAIT_S):
            raise BusyError(f"{study}: another change of it is being made: ask again in a moment")
        try:
            yield
        finally:
            lock.release()

    def check_opens(self, study: str) -> None:
        """Raise StudyError for a study that names what this service does not open, and StoreError for a folder that
        leads out of itself: it may be from elsewhere."""
        folder = self._catalogue.folder(study)
        folder.refuse_links()
        check_own(folder.read(STUDY, LARGEST_STUDY).decode("utf-8", "replace"), self._settings.allow_code)

    def under_way(self, study: str) -> bool:
        """Whether a run of a study or a search goes on; the process of one that is over is waited for."""
        until = time.monotonic() + _ENDING_S
        while self._runs.live(study):
            session = self._catalogue.session(study)
            if session is None or session.open or time.monotonic() > until:
                return True
            time.sleep(0.05)
        return self._catalogue.card(study).state in ("running", "disk full")

    def _write_note(self, study: str, text: str) -> None:
        self._catalogue.folder(study).write(NOTE, text.strip().encode())

    def _path(self, study: str, *names: str) -> str:
        return str(self._settings.root.joinpath(study, *names))

    def _check_goes_on(self, study: str) -> None:
        """Raise what a study is refused with that would go on."""
        self.check_opens(study)
        if self.under_way(study):
            raise ConflictError(f"{study}: a run is under way: watch it, or stop it first")

    def _run_of(self, study: str) -> str:
        session = self._catalogue.session(study)
        return session.id if session else ""

    def _go_on(self, study: str, words: Sequence[str], held: Study | None = None, retry: bool = False) -> str:
        """The id of the run that goes on with a study."""
        if self._settings.place.address is None:
            return self._runs.start(study, words)
        text = (held or Store.open(self._catalogue.folder(study)).study).text
        if not self._sending.acquire(blocking=False):
            raise BusyError(f"{_MOST_SENDING} studies are being sent to the cluster: ask again in a moment")
        try:
            return self._send(study, text, retry)
        finally:
            self._sending.release()

    def _send(self, study: str, text: str, retry: bool) -> str:
        from vcm_sweep.cluster.jobs.submit import submit

        self._catalogue.folder(study).refuse_links()
        with tempfile.TemporaryDirectory(prefix="vcm-sweep-serve-") as scratch:
            file = Path(scratch) / "study.toml"
            file.write_text(text, encoding="utf-8")
            return submit(file, RunOptions(self._settings.place, self._path(study), retry=retry)).session


def too_long(text: str) -> str:
    """What is said of the text of a study that has too many characters."""
    return (
        f"the study has {len(text):,} characters, and at most {MAX_STUDY:,} are read: put conditions into a file, or "
        "split the study"
    )


def _unwritable(text: str) -> bool:
    """Whether a text has halves of characters, as JSON can name them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_note(text: str) -> None:
    if len(text) > MAX_NOTE or _unwritable(text):
        raise ServiceError(f"note has {len(text):,} characters: at most {MAX_NOTE:,} of UTF-8 are kept")
