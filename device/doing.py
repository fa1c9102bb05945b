"""What this process is doing that may take long, in words: said where it is done, shown by whoever shows anything."""

import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_LOCK = threading.Lock()
_OPEN: list["Doing"] = []


class Doing:
    """Says what is being done while its ``with`` lasts; call its value with how far that is. "" says nothing.

    Example:
        >>> with Doing("tables of the rates") as told:
        ...     told("round 2")
        ...     words_now()
        'tables of the rates, round 2'
        >>> words_now()
        ''
    """

    def __init__(self, what: str) -> None:
        self._what, self.words, self.thread = what, what, 0

    def __enter__(self) -> Self:
        self.thread = threading.get_ident()
        with _LOCK:
            _OPEN.append(self)
        return self

    def __call__(self, how_far: str) -> None:
        """Say how far it is."""
        self.words = f"{self._what}, {how_far}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _LOCK, suppress(ValueError):
            _OPEN.remove(self)


def words_now() -> str:
    """What was begun last and is not over, and what it is a part of; "" for nothing that takes long.

    >>> with Doing("layer 3 of 100"), Doing("tables"):
    ...     words_now()
    'layer 3 of 100: tables'
    """
    with _LOCK:
        told = [doing for doing in _OPEN if doing.words]
        here = [doing.words for doing in told if doing.thread == told[-1].thread]
    return ": ".join(here[-2:])
