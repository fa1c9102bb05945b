"""One driver at a time: a lock on a disk, a lease on an object store, and on a disk that has no locks."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.lease import Lease, in_use

_log = logging.getLogger("vcm_sweep")

LOCK = "lock"
"""The file that a driver locks on a disk."""


class Lock(Protocol):
    """Held by the driver of a results folder."""

    lost: str
    """Why it is no longer held; "" while it is held."""

    def release(self) -> None:
        """Give it back, so that the next driver can take it."""


class NoLocks(OSError):
    """A file system on which no file can be locked, as Lustre without flock and NFS without its lock service."""


class FileLock:
    """The system's lock on a file, which the system releases when the process ends, in whatever way.

    Raises:
        StoreError: another driver holds it. NoLocks: the file system has no locks. OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.lost = ""
        self._file: IO[str] = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                self._file.close()
                raise NoLocks(error.errno, error.strerror) from None
            self._file.seek(0)
            who = self._file.read(500).strip()
            self._file.close()
            raise StoreError(in_use(str(path.parent), who)) from None
        self._file.truncate(0)
        self._file.write(owner())
        self._file.flush()

    def release(self) -> None:
        """Give it back."""
        self._file.close()


def take_lock(folder: Folder, session: str, lease_s: float) -> Lock:
    """The driver's lock of a folder.

    Args:
        session: names this driver. lease_s: see :class:`Lease`.

    Raises:
        StoreError: another driver holds it. OSError: the folder cannot be written.
    """
    if folder.local is not None:
        try:
            return FileLock(folder.local / LOCK)
        except NoLocks as error:
            _log.warning("%s: its file system has no locks (%s): a lease takes their place", folder, error.strerror)
    return Lease(folder, session, owner(), lease_s)


@contextmanager
def made_alone(folder: Folder) -> Iterator[None]:
    """Let one process at a time make a folder on a disk; without a word where its file system has no locks.

    Raises:
        StoreError: another process makes it, or drives it already. OSError: the folder cannot be written.
    """
    try:
        lock = FileLock(Path(folder.path) / LOCK)
    except NoLocks:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def owner() -> str:
    """A description of this process for messages."""
    return f"process {os.getpid()} on {socket.gethostname()}"
