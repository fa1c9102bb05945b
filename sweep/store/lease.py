"""The lock of a results folder on an object store: a small file with a counter that its holder raises.

Object stores have no locks, and pyarrow has no conditional writes, so this is best effort. Two drivers that begin at
the same moment see each other after ``_SETTLE_S``, and one gives way. A driver that was cut off from the store for
longer than the lease finds on its return that it has lost it, and writes no more. If both have written meanwhile,
nothing is lost: their parts have different names, and of equal keys one record counts.

No clock is compared with another. A lease is over when whoever wants it has seen the same counter for ``lease_s`` of
its own monotonic time.
"""

import json
import logging
import shlex
import threading
import time

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder

_FILE = "lease.json"
_SETTLE_S = 1.0
_log = logging.getLogger("vcm_sweep")


class Lease:
    """A lease, held from when this is built until :meth:`release`, and kept alive by a thread.

    Args:
        folder: of the results. session: of this driver, unique. owner: for people.
        lease_s: silence after which a holder counts as gone; its counter goes up every third of it.

    Raises:
        StoreError: it is held by a driver that is alive, which takes up to a third of ``lease_s`` to see; one that
            is gone takes ``lease_s``.
    """

    def __init__(self, folder: Folder, session: str, owner: str, lease_s: float) -> None:
        self.lost = ""
        self._folder, self._session, self._owner, self._lease_s = folder, session, owner, lease_s
        self._count = 0
        self._wait_for_the_other()
        self._beat()
        time.sleep(min(_SETTLE_S, lease_s / 4))
        there = self._read()
        if there is None or there["session"] != session:
            raise StoreError(self._in_use(there))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="vcm-sweep lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Give it back."""
        self._stop.set()
        self._thread.join()
        try:
            there = self._read()
            if there is not None and there["session"] == self._session:
                self._folder.delete(_FILE)
        except OSError as error:
            _log.warning("%s/%s stays behind (%s): the next run waits %.0f s for it", self._folder, _FILE, error,
                         self._lease_s)  # fmt: skip

    def _wait_for_the_other(self) -> None:
        first = self._read()
        since = time.monotonic()
        while first is not None:
            if time.monotonic() - since > self._lease_s:
                _log.warning("%s: the run of %s is gone, and its lease with it", self._folder, first["owner"])
                return
            time.sleep(self._lease_s / 10)
            now = self._read()
            if now is not None and now != first:
                raise StoreError(self._in_use(now))
            if now is None:
                return

    def _keep(self) -> None:
        while not self._stop.wait(self._lease_s / 3):
            try:
                there = self._read()
                if there is not None and there["session"] != self._session:
                    self.lost = self._in_use(there)
                    return
                self._beat()
            except OSError as error:
                # Whoever wants the lease will say so in it, once the store answers again.
                _log.warning("%s/%s cannot be renewed (%s); trying again", self._folder, _FILE, error)

    def _beat(self) -> None:
        self._count += 1
        plain = {"session": self._session, "owner": self._owner, "count": self._count}
        self._folder.write(_FILE, json.dumps(plain).encode())

    def _read(self) -> dict[str, object] | None:
        try:
            plain = self._folder.read_json(_FILE)
            return {name: plain[name] for name in ("session", "owner", "count")}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return {"session": "", "owner": "", "count": 0}

    def _in_use(self, there: dict[str, object] | None) -> str:
        return in_use(str(self._folder), str(there["owner"]) if there else "")


def in_use(where: str, who: str) -> str:
    """What a second driver is told."""
    by = f" ({who})" if who else ""
    watch = shlex.join(["vcm-sweep", "status", where])
    return f"{where} is in use by another run{by}: wait for it, stop it, or watch it with `{watch}`"
