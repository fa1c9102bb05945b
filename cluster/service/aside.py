"""Work that needs torch, done aside: in a process of its own, which ends when nobody has needed it for a while.

The service itself reads studies and results without torch, so it stays small and quick. Whether a study can be trained
is found out by simulations, and a cell is drawn by them.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from vcm_sweep.cluster.service.problems import BusyError, UnfinishedError
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import one_line

T = TypeVar("T")
_IDLE_S, _LONGEST_S, _WAIT_S, _GONE_S = 300.0, 120.0, 30.0, 5.0
# Whoever waits holds one of the few threads that answer requests.
_MOST_WAITING = 12
# Its end may cross the question that it would answer.
_ATTEMPTS = 2


class Aside:
    """Calls functions in another process, one at a time; it is begun when it is needed.

    Args:
        idle_s: seconds after which it ends. longest_s: seconds after which work is given up. wait_s: for others' work.

    Example:
        >>> Aside()(max, 1, 2)
        2
    """

    def __init__(self, idle_s: float = _IDLE_S, longest_s: float = _LONGEST_S, wait_s: float = _WAIT_S) -> None:
        self._idle_s, self._longest_s, self._wait_s = idle_s, longest_s, wait_s
        self._one, self._waiting = threading.Lock(), threading.BoundedSemaphore(_MOST_WAITING)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def warm(self) -> None:
        """Begin the process where there is none, and wait for nothing: torch takes seconds to import."""
        if self._one.acquire(blocking=False):
            try:
                self._connected()
            finally:
                self._one.release()

    def __call__(self, work: Callable[..., T], *given: Any) -> T:
        """What ``work`` returns or raises; it is a function of a module, and what it takes and gives can be pickled.

        Raises:
            BusyError: others' work takes too long, or many wait for that. UnfinishedError: this takes too long, or its
            process ends under it. VcmSweepError: with type and words of what was raised, where that cannot be sent.
        """
        with self._turn():
            return self._asked(work, given)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """A turn of one's own; BusyError if it does not come in time, or many wait for theirs."""
        if not self._one.acquire(blocking=False) and not self._waited():
            raise BusyError("others' work is being done: ask again in a moment")
        try:
            yield
        finally:
            self._one.release()

    def _waited(self) -> bool:
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._one.acquire(timeout=self._wait_s)
        finally:
            self._waiting.release()

    def _asked(self, work: Callable[..., T], given: tuple[Any, ...]) -> T:
        until = time.monotonic() + self._longest_s
        pipe = self._begun((os.getcwd(), work, given), until)
        try:
            fine, value, words = self._heard(pipe, until)
        except (EOFError, OSError):
            # It may have changed a folder, so it is not begun again.
            raise UnfinishedError(
                f"the process that did this has ended ({self._how_it_ended()}): look at what it has left; then ask for "
                "less, or give the service more memory"
            ) from None
        if fine:
            return pickle.loads(value)  # type: ignore[no-any-return]
        raise _raised(value, words)

    def _begun(self, question: tuple[Any, ...], until: float) -> Connection:
        """Where the answer to a question comes, on which work has begun; what ends before that has done nothing."""
        for _ in range(_ATTEMPTS):
            with suppress(EOFError, OSError):
                pipe = self._connected()
                pipe.send(question)
                self._heard(pipe, until)
                return pipe
            self._end()
        raise UnfinishedError("no process for this could be begun: the log of the service says why")

    def _heard(self, pipe: Connection, until: float) -> Any:
        if not pipe.poll(max(0.0, until - time.monotonic())):
            self._end()
            raise UnfinishedError(f"this was given up after {self._longest_s:g} s: ask for less")
        return pipe.recv()

    def _connected(self) -> Connection:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self._end()
            # Not forked, since this process has threads.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_answer, args=(theirs, self._idle_s), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def _how_it_ended(self) -> str:
        code = None
        if self._process is not None:
            self._process.join(_GONE_S)
            code = self._process.exitcode
        self._end()
        if code == -signal.SIGKILL:
            return "SIGKILL, as where memory is short"
        return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


aside = Aside()
"""That of this process, whichever services it has."""


def _answer(pipe: Connection, idle_s: float) -> None:
    """Do what is asked for, until nobody asks or who asked is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, meant for the service
    import torch  # noqa: F401

    with suppress(EOFError, OSError):
        while pipe.poll(idle_s):
            where, work, given = pipe.recv()
            pipe.send("begun")
            pipe.send(_done(where, work, given))


def _done(where: str, work: Callable[..., Any], given: tuple[Any, ...]) -> tuple[bool, bytes, str]:
    """(whether it went well, what was returned or raised, the latter in words too)."""
    try:
        os.chdir(where)  # from there modules that a study may name are imported
        return True, pickle.dumps(work(*given)), ""
    except Exception as error:
        words = one_line(error)
        try:
            return False, pickle.dumps(error), words
        except Exception:
            return False, b"", words
    except BaseException as error:  # raised in the service, it would end that
        return False, b"", one_line(error)


def _raised(value: bytes, words: str) -> Exception:
    """An error that was raised aside; in words, where its class does not make it anew from what it holds."""
    try:
        error = pickle.loads(value)
    except Exception:
        error = None
    return error if isinstance(error, Exception) else VcmSweepError(words)
