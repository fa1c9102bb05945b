"""What takes long is made on a thread of its own, one after the other; whoever asks waits a little, or comes back."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from vcm_sweep.cluster.service.problems import BusyError, UnfinishedError
from vcm_sweep.device.errors import VcmSweepError

Made = TypeVar("Made")
_MOST_HELD, _MOST_COMING, _MOST_WAITING = 64, 32, 16
# What came to no end is not begun anew by each page that is loaded again, nor refused for ever.
_CUT_SHORT_S = 60.0


@dataclass(frozen=True)
class _Held:
    stamp: object
    made: float
    took_s: float
    coming: "Future[Any]"


class InTurn:
    """Makes things, one at a time, and holds the latest of each.

    Requests are answered by few threads: none of them makes anything itself, so that minutes of work stop no page.

    Example:
        >>> in_turn = InTurn()
        >>> in_turn("the answer", "of 1", lambda: 41 + 1, wait_s=10.0), in_turn("the answer", "of 1", lambda: 0)
        (42, 42)
    """

    def __init__(self) -> None:
        self._mutex, self._one = threading.Lock(), threading.Lock()
        self._held: OrderedDict[Hashable, _Held] = OrderedDict()
        self._coming: dict[Hashable, Future[Any]] = {}
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def __call__(
        self,
        what: Hashable,
        stamp: object,
        make: Callable[[], Made],
        wait_s: float = 20.0,
        age_s: float = 0.0,
        age_factor: float = 0.0,
        or_older: bool = False,
    ) -> Made:
        """What ``make`` returns, now or the last time.

        Args:
            what: is made, which is asked for by one or many. stamp: of what it is made of; it is made anew where this
                has changed and it is older than ``age_s`` seconds and than ``age_factor`` times what it took.
            make: makes it. wait_s: seconds to wait; it goes on being made for whoever asks next.
            or_older: give what there was before, where the new one takes longer than that.

        Raises:
            BusyError: it was not made in that time, or too much is being made. VcmSweepError: as ``make`` raised.
        """
        with self._mutex:
            held = self._held.get(what)
            if held is not None and _holds(held, stamp, age_s, age_factor):
                self._held.move_to_end(what)
                return cast(Made, _result(held.coming))
            coming = self._coming.get(what)
            if coming is None:
                coming = self._begun(what, stamp, make)
        if coming is not None and self._waiting.acquire(blocking=False):
            try:
                wait([coming], wait_s)
            finally:
                self._waiting.release()
        if coming is not None and coming.done():
            return cast(Made, _result(coming))
        if held is not None and or_older:
            return cast(Made, _result(held.coming))
        raise BusyError("this takes longer than an answer waits for: it is being made, ask again in a moment")

    def _begun(self, what: Hashable, stamp: object, make: Callable[[], Any]) -> "Future[Any] | None":
        """Begin to make something; None where too much is being made already."""
        if len(self._coming) >= _MOST_COMING:
            return None
        coming = self._coming[what] = Future()
        # It ends with the process: nothing is lost by that but time.
        threading.Thread(target=self._make, args=(what, stamp, make, coming), daemon=True).start()
        return coming

    def _make(self, what: Hashable, stamp: object, make: Callable[[], Any], coming: "Future[Any]") -> None:
        result, error = None, None
        with self._one:
            began = time.monotonic()
            try:
                result = make()
            except BaseException as raised:
                error = raised
            now = time.monotonic()
        # Held before it is told: who asks next must not take it for what is being made of something newer.
        with self._mutex:
            del self._coming[what]
            # That others were served is true no more when somebody asks again.
            if error is None or (isinstance(error, VcmSweepError) and not isinstance(error, BusyError)):
                self._held[what] = _Held(stamp, now, now - began, coming)
                self._held.move_to_end(what)
                while len(self._held) > _MOST_HELD:
                    self._held.popitem(last=False)
        if error is None:
            coming.set_result(result)
        else:
            coming.set_exception(error)


def _holds(held: _Held, stamp: object, age_s: float, age_factor: float) -> bool:
    age = time.monotonic() - held.made
    if isinstance(held.coming.exception(), UnfinishedError):
        return age < _CUT_SHORT_S
    return held.stamp == stamp or age < max(age_s, age_factor * held.took_s)


def _result(made: "Future[Any]") -> Any:
    error = made.exception()
    if error is not None:
        raise error.with_traceback(None)
    return made.result()
