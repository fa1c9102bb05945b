"""Defers interrupts (Ctrl-C) until the state of a training can be saved."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

told_to_stop: ContextVar[Callable[[], bool]] = ContextVar("told_to_stop", default=lambda: False)
"""Tells, in a thread that is not the main one and so gets no signals, whether its training is to stop."""


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """A context whose value is a function that tells whether an interrupt has come: Ctrl-C, or cancelling by Ray.

    Both are a SIGINT to the main thread. The first one is only remembered, and the caller acts on it when its state is
    complete; a second one raises KeyboardInterrupt at once. In other threads ``told_to_stop`` is asked.

    >>> import _thread
    >>> with deferred_interrupts() as interrupted:
    ...     _thread.interrupt_main()
    ...     interrupted()
    True
    """
    came = False

    def note(_number: int, _frame: Any) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    usual = signal.getsignal(signal.SIGINT)
    # If SIGINT is ignored or not handled by Python, it stays so.
    if threading.current_thread() is not threading.main_thread():
        yield told_to_stop.get()
        return
    if not callable(usual):
        yield lambda: False
        return
    # SIGTERM, with which batch systems end a run, and SIGHUP are deferred too if they have the same handler as Ctrl-C
    # (see Session).
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == usual]
    for number in numbers:
        signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        for number in numbers:
            signal.signal(number, usual)
