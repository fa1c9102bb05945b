"""What workers do that takes long: each tells the head's table of keys, and the driver reads the latest there."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vcm_sweep.device.doing import words_now

_NAMESPACE = "vcm-sweep"
# A worker tells what has taken this long, and again this often; so seldom that a head with thousands of them copes.
_TELL_EVERY_S = 5.0
# Words that nobody has repeated for this long are over.
_OLD_S = 12.0


def _key() -> str:
    """One for all workers of a run, so that reading takes one question however many there are."""
    import ray

    return f"doing-{ray.get_runtime_context().get_job_id()}"


@contextmanager
def telling(every_s: float = _TELL_EVERY_S) -> Iterator[None]:
    """On a worker: tell the head what this process is doing, as long as that is anything that takes long."""
    from ray.experimental.internal_kv import _internal_kv_put

    key, over = _key(), threading.Event()

    def keep_up() -> None:
        while not over.wait(every_s):
            words = words_now()
            # The time makes it another value, by which the driver sees that it is fresh. Without a head nobody listens.
            with suppress(Exception):
                if words:
                    _internal_kv_put(key, f"{time.time()} {words}", overwrite=True, namespace=_NAMESPACE)

    threading.Thread(target=keep_up, name="vcm-sweep telling", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class Overheard:
    """In the driver: the words that a worker told last.

    Args:
        asked: asks the head a question, as ``Head.asked``.
    """

    def __init__(self, asked: Callable[[Callable[[], Any]], Any]) -> None:
        self._asked, self._key = asked, _key()
        self._value, self._heard, self._looked = b"", 0.0, 0.0

    def listen(self) -> None:
        """Ask the head, if the last time is some seconds ago; whether it is there is for others to find."""
        from ray.experimental.internal_kv import _internal_kv_get

        now = time.monotonic()
        if now - self._looked < _TELL_EVERY_S / 2:
            return
        self._looked = now
        value = self._value
        # Words are no reason to end a run.
        with suppress(Exception):
            value = self._asked(lambda: _internal_kv_get(self._key, namespace=_NAMESPACE)) or b""
        if value != self._value:
            self._value, self._heard = value, now

    def words(self) -> str:
        """What a worker is doing, or was until some seconds ago; "" for nothing that takes long."""
        if not self._value or time.monotonic() - self._heard > _OLD_S:
            return ""
        return self._value.decode(errors="replace").partition(" ")[2]
