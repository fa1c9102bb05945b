"""Waits for what comes true in another process."""

import time
from collections.abc import Callable


def until(true: Callable[[], object], seconds: float = 60.0, pause_s: float = 0.02) -> None:
    """Return as soon as something is true, which is asked every ``pause_s``; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(pause_s)
