"""The head of a cluster as the driver hears it: whether it is there, and what follows when it is gone for good.

Ray waits for a head that does not answer inside of C++, where no signal gets through, and after 60 s ends the process
without a word to us (measured with Ray 2.60: ``ray.nodes()`` hangs at once, then exit code 1). So the driver looks
for itself, and ends before that.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from vcm_sweep.sweep.errors import ExecutorError

_LOOK_EVERY_S = 2.0
_ANSWER_S = 2.0
# An answer so recent is believed, for many short packs.
_FRESH_S = 0.2
# After this much silence a head is gone. A GCS with fault tolerance that starts anew is back in less; Ray's own
# patience, 60 s, is longer and leaves time for the last records and for disconnecting.
_GONE_S = 30.0
_RAYS_VARIABLE, _RAYS_SHARE = "RAY_gcs_rpc_server_reconnect_timeout_s", 1 / 2
# Disconnecting from a head that is gone takes Ray some ten seconds, in which what was finished is flushed.
_GOODBYE_S = 5.0
# A thread that waits for Ray in Python ends a moment after the head is gone. One that does not is held in C++.
_STUCK_S = 8.0


class Head:
    """Looks every two seconds whether the head takes connections, on a thread of its own.

    Args:
        gcs: HOST:PORT of its GCS. One that cannot be reached from here at the start, as through a proxy, is not
            watched.
        name: of the cluster, for messages.
        on_stuck: is told, on the thread that looks, that the head is gone and Ray does not let go of the thread that
            runs: see :attr:`inside`.

    Attributes:
        inside: whether the thread that runs is in a call of Ray, or about to make one.

    Where the administrator gave Ray another patience (``RAY_gcs_rpc_server_reconnect_timeout_s``), ours is half
    of it.
    """

    def __init__(self, gcs: str, name: str, on_stuck: Callable[[str], None] | None = None) -> None:
        host, _, port = gcs.rpartition(":")
        self.gcs, self.name, self._on_stuck = gcs, name, on_stuck
        self.inside = True
        self._place = (host.strip("[]"), int(port))
        self._over = threading.Event()
        self._misses, self._looked = 0, 0.0
        self._patience_s = _GONE_S
        if rays := os.environ.get(_RAYS_VARIABLE):
            self._patience_s = _RAYS_SHARE * float(rays)
        self._watched = self.answers()
        if self._watched:
            threading.Thread(target=self._watch, name="vcm-sweep head", daemon=True).start()

    def answers(self) -> bool:
        """Whether it takes a connection now."""
        try:
            with socket.create_connection(self._place, _ANSWER_S):
                return True
        except OSError:
            return False

    def silent(self) -> bool:
        """Whether it does not answer now: then nothing may be asked of Ray that asks the head."""
        if not self._watched or self._misses:
            return self._watched
        now = time.monotonic()
        if now - self._looked > _FRESH_S:
            if not self.answers():
                return True
            self._looked = now
        return False

    def check(self) -> None:
        """ExecutorError once the head is gone."""
        if self._missed_s >= self._patience_s:
            raise ExecutorError(self._text)

    def asked[T](self, question: Callable[[], T]) -> T:
        """What the head answers; it may go while it is asked.

        Raises:
            ExecutorError: it is gone.
        """
        if not self._watched:
            return question()
        answer: list[T] = []
        failure: list[BaseException] = []

        def ask() -> None:
            try:
                answer.append(question())
            except BaseException as error:
                failure.append(error)

        asking = threading.Thread(target=ask, name="vcm-sweep question", daemon=True)
        asking.start()
        while asking.is_alive():
            self.check()
            asking.join(_LOOK_EVERY_S)
        if failure:
            raise failure[0]
        return answer[0]

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    @property
    def _missed_s(self) -> float:
        # Looks are counted, not seconds: a driver that slept itself has not seen the head silent.
        return self._misses * _LOOK_EVERY_S

    @property
    def _text(self) -> str:
        return (
            f"{self.name} is gone (its head at {self.gcs} has not answered for {self._patience_s:g} s): what is "
            "finished is kept; once a cluster is back, the same command goes on"
        )

    def _watch(self) -> None:
        while True:
            began = time.monotonic()
            self._misses = 0 if self.answers() else self._misses + 1
            if self._on_stuck and self.inside and self._missed_s >= self._patience_s + _STUCK_S:
                self._on_stuck(self._text)
                return
            if self._over.wait(max(0.0, _LOOK_EVERY_S - (time.monotonic() - began))):
                return


def say_goodbye(disconnect: Callable[[], Any]) -> None:
    """Disconnect from a head that is gone, waiting no longer than some seconds."""
    leaving = threading.Thread(target=disconnect, name="vcm-sweep goodbye", daemon=True)
    leaving.start()
    leaving.join(_GOODBYE_S)
