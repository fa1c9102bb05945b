"""Interrupts that wait until the state of a training is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether an interrupt has come: Ctrl-C, or Ray's cancelling, which both are SIGINT to a process's main thread.

    The first one is only noted, for the caller to act on where its state is whole; a second one raises
    KeyboardInterrupt at once. In other threads, which get no signals, nothing changes.

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
    # A caller that ignores SIGINT, or has no Python handler, keeps it so.
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: False
        return
    # SIGTERM too, where it is to do the same as Ctrl-C (see Session): that is how batch systems end a run.
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) == usual]
    for number in numbers:
        signal.signal(number, note)
    try:
        yield lambda: came
    finally:
        for number in numbers:
            signal.signal(number, usual)
