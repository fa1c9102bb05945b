"""Processes that a service starts: each of the command line, in a session of its own, known by the lock it holds.

A process is given its lock open: the system releases it when the process ends, in whatever way, and not before. So a
service that was killed and started anew sees which of them live, and nothing ever has two.
"""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeAlias

from vcm_sweep.cluster.service.problems import ConflictError
from vcm_sweep.cluster.service.settings import ServiceSettings

Begin: TypeAlias = Callable[[Sequence[str], Path, Path, Mapping[str, str]], None]
"""Starts ``vcm-sweep WORDS``: words, the file for what it prints, its working directory, more variables."""


class Processes:
    """The processes of a service on its machine; its own end does not end them.

    Args:
        settings: of the service, which say how the command line is called.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._program = settings.program
        self._mutex = threading.Lock()
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def live(self, lock: Path) -> bool:
        """Whether a process that was given this lock lives."""
        with self._mutex:
            self._reap(lock)
            try:
                with open(lock, encoding="utf-8") as file:
                    return not locked(file)
            except FileNotFoundError:
                return False

    @contextmanager
    def claimed(self, lock: Path, refusal: str) -> Iterator[Begin]:
        """Yields what starts a process with this lock; until then nobody else can.

        Raises:
            ConflictError: one lives; ``refusal`` is what is said then.
        """
        with self._mutex, open(lock, "a", encoding="utf-8") as file:
            self._reap(lock)
            if not locked(file):
                raise ConflictError(refusal)

            def begin(words: Sequence[str], printed: Path, where: Path, variables: Mapping[str, str]) -> None:
                with open(printed, "wb") as output:
                    self._children[lock] = subprocess.Popen(
                        [*self._program, *words],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        cwd=where,
                        env={**os.environ, **variables},
                        pass_fds=[file.fileno()],
                        start_new_session=True,
                    )
                # A service that starts anew knows by this whom to end.
                file.truncate(0)
                file.write(str(self._children[lock].pid))

            yield begin

    def end(self, lock: Path, within_s: float = 10.0) -> bool:
        """End the process with this lock, and what it started; False where none lives, or it does not end in time."""
        if not self.live(lock):
            return False
        # Whoever has the lock is the one that it names, or was started by that one: no other has its number meanwhile.
        pid = int(lock.read_text(encoding="utf-8") or "0")
        until, asked = time.monotonic() + within_s, signal.SIGTERM
        while pid > 1 and self.live(lock) and time.monotonic() < until:
            with suppress(ProcessLookupError):
                os.killpg(pid, asked)
            time.sleep(0.1)
            asked = signal.SIGTERM if time.monotonic() < until - within_s / 2 else signal.SIGKILL
        return not self.live(lock)

    def _reap(self, lock: Path) -> None:
        """Take the exit code of a process that has ended, without which it would stay in the system's table."""
        child = self._children.get(lock)
        if child is not None and child.poll() is not None:
            del self._children[lock]


def locked(file: IO[str]) -> bool:
    """Lock a file until it is closed here and in every process that was given it; False where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def last_bytes(path: Path, most: int) -> str:
    """The end of a file as text; "" where there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def last_line(printed: str) -> str:
    """The last line of what a command has printed, without the name of the program.

    >>> last_line("note: x\\nvcm-sweep: r = 0 must be above 0\\n\\n")
    'r = 0 must be above 0'
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("vcm-sweep: ") if lines else ""
