"""Failed log-ins are slowed down by the address that they come from."""

import time
from collections.abc import Callable

_MOST_ADDRESSES = 10_000


class Limiter:
    """Counts failures by address, and says how long to wait.

    Args:
        most: failures within ``within_s`` seconds, after which an address must wait. clock: of seconds.

    >>> limiter = Limiter(most=1, within_s=60.0, clock=lambda: 0.0)
    >>> limiter.failed("10.0.0.1")
    >>> limiter.wait_s("10.0.0.1"), limiter.wait_s("10.0.0.2")
    (60.0, 0.0)
    """

    def __init__(self, most: int = 5, within_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._within_s, self._clock = most, within_s, clock
        self._failures: dict[str, list[float]] = {}

    def failed(self, address: str) -> None:
        """Note a failure."""
        times = self._failures.pop(address, [])
        # The address that failed last stands at the end; the one that is forgotten has been quiet for the longest.
        self._failures[address] = [*times, self._clock()][-self._most :]
        if len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 if it may now."""
        times = self._failures.get(address, [])
        if len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._within_s - self._clock())
