"""Watching the head of the cluster from the driver: whether it answers, and what to do when it is gone for good.

If a head does not answer, Ray waits inside C++, where no signal gets through, and after 60 s ends the process without
telling us (measured with Ray 2.60: ``ray.nodes()`` hangs at once, then exit code 1). So the driver checks by itself,
and ends in an orderly way before that.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from vcm_sweep.sweep.errors import ExecutorError

T = TypeVar("T")

_LOOK_EVERY_S = 2.0
_ANSWER_S = 2.0
# An answer that is not older than this is trusted, so that many short packs do not ask again and again.
_FRESH_S = 0.2
# After this much silence a head counts as gone. A restarted head (a GCS with fault tolerance) is back sooner. Ray's own
# patience, 60 s, is longer, and leaves time for the last records and for disconnecting.
_GONE_S = 30.0
_RAYS_VARIABLE, _RAYS_SHARE = "RAY_gcs_rpc_server_reconnect_timeout_s", 1 / 2
# Disconnecting from a head that is gone takes Ray about ten seconds; we wait for this long at most.
_GOODBYE_S = 5.0
# A thread that waits for Ray in Python ends soon after the head is gone. One that has not ended after this long is held
# inside C++.
_STUCK_S = 8.0


class Head:
    """Checks every two seconds, on a thread of its own, whether the head accepts connections.

    Args:
        gcs: HOST:PORT of the head's GCS (Ray's global control service). If it cannot be reached from here at the start,
            for example because of a proxy, it is not watched.
        name: of the cluster, for messages.
        on_stuck: called, on the watching thread and with the reason, if the head is gone and the main thread is still
            inside a call of Ray: see :attr:`inside`.

    Attributes:
        inside: whether the main thread is in a call of Ray, or about to make one; the executor sets it.

    If the administrator gave Ray another patience (``RAY_gcs_rpc_server_reconnect_timeout_s``), ours is half of it.
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
        """Whether the head accepts a connection now."""
        try:
            with socket.create_connection(self._place, _ANSWER_S):
                return True
        except OSError:
            return False

    def silent(self) -> bool:
        """Whether the head does not answer now; then no call of Ray may be made that needs the head."""
        if not self._watched or self._misses:
            return self._watched
        now = time.monotonic()
        if now - self._looked > _FRESH_S:
            if not self.answers():
                return True
            self._looked = now
        return False

    def check(self) -> None:
        """Raise ExecutorError if the head is gone for good."""
        if self._missed_s >= self._patience_s:
            raise ExecutorError(self._text)

    def asked(self, question: Callable[[], T]) -> T:
        """The answer to a question to the head, asked on another thread, since the head may be lost meanwhile.

        Raises:
            ExecutorError: the head is gone.
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
        """Stop watching."""
        self._over.set()

    @property
    def _missed_s(self) -> float:
        # Failed checks are counted, not seconds: a driver that was suspended has not seen the head silent meanwhile.
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
    """Disconnect from a head that is gone, waiting a few seconds at most."""
    leaving = threading.Thread(target=disconnect, name="vcm-sweep goodbye", daemon=True)
    leaving.start()
    leaving.join(_GOODBYE_S)
