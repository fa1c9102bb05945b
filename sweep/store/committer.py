"""Group commit: a thread makes appended records durable, many at a time, within a second.

If writing fails, the records are kept and writing is tried again; a caller that appends more than fits has to wait.
Nothing is thrown away: records that cannot be written in the end go into a file elsewhere.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import in_words
from vcm_sweep.sweep.trial import TrialRecord

# How long a record waits for others before it is written. A second is promised, of which the disk needs a part.
_GATHER_S = 0.4
_BATCH = 5_000  # records per part at most
_BOUND = 7_500  # records waiting at most: at the highest rates too they are no older than a second
_RETRY_S = 3.0
_log = logging.getLogger("vcm_sweep")


class Committer:
    """Takes records, and has them written by a thread of its own.

    Args:
        where: for messages.
        write: writes records so that they survive a crash. OSError: it may work later; StoreError: it never will.
        rescue: leaves records somewhere else; where, in words.
        told: hears of records that have become durable, on the thread that writes.
        patience_s: how long writing may fail before it is given up.
    """

    def __init__(
        self,
        where: str,
        write: Callable[[Sequence[TrialRecord]], None],
        rescue: Callable[[Sequence[TrialRecord]], str],
        told: Callable[[Sequence[TrialRecord]], None],
        patience_s: float,
    ) -> None:
        self._where, self._write, self._rescue, self._told = where, write, rescue, told
        self._patience_s = patience_s
        self._changed = threading.Condition()
        # All of these under the condition.
        self._waiting: list[TrialRecord] = []
        self._oldest = 0.0
        self._appended = self._durable = 0
        self._hurry = self._closed = self._impatient = False
        self._flushing = 0
        self._failure = ""
        self._complaint: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="vcm-sweep store", daemon=True)
        self._thread.start()

    def append(self, records: Sequence[TrialRecord]) -> None:
        """Take records; waits where too many are waiting already.

        Raises:
            StoreError: writing has failed for good; these records too are left elsewhere, and the message says where.
        """
        with self._changed:
            while len(self._waiting) >= _BOUND and not self._failure and not self._impatient:
                self._changed.wait()
            if not self._failure:
                if not self._waiting:
                    self._oldest = time.monotonic()
                self._waiting.extend(records)
                self._appended += len(records)
                self._changed.notify_all()
                self._raise_complaint()
                return
            if records:
                self._failure = f"{self._failure}; {self._rescue(records)}"
            raise StoreError(self._failure)

    def hasten(self) -> None:
        """From now on ``append`` waits for nothing, and ``flush`` gives up at once what cannot be written at once."""
        with self._changed:
            self._impatient = True
            self._changed.notify_all()

    def flush(self) -> None:
        """All that was appended is durable when this returns; StoreError when writing has failed for good."""
        with self._changed:
            target = self._appended
            self._flushing += 1
            try:
                while self._durable < target and not self._failure:
                    self._hurry = True
                    self._changed.notify_all()
                    self._changed.wait()
            finally:
                self._flushing -= 1
            if self._failure:
                raise StoreError(self._failure)
            self._raise_complaint()

    def close(self) -> None:
        """Flush and end the thread. An interruption meanwhile gives up at once what cannot be written now."""
        try:
            self.flush()
        except KeyboardInterrupt:
            self.hasten()
            self.flush()
            raise
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            # An interrupt may have come right after the lock was taken and before the block that releases it, so that
            # this thread still holds it.
            with suppress(RuntimeError):
                while True:
                    self._changed.release()
            try:
                self._thread.join()
            except KeyboardInterrupt:
                self._thread.join()  # what it has not written yet is being left elsewhere
                raise

    def _run(self) -> None:
        while batch := self._next():
            try:
                self._persist(batch)
            except StoreError as error:
                self._give_up(batch, str(error))
                return
            except Exception as error:
                self._give_up(batch, f"{self._where} cannot be written ({error!r})")
                _log.exception("the store's thread failed")
                return
            with self._changed:
                self._durable += len(batch)
            try:
                self._told(batch)
            except Exception as error:
                self._complaint = error
            with self._changed:
                self._changed.notify_all()

    def _next(self) -> list[TrialRecord]:
        """Records to write now; none when there will be no more."""
        with self._changed:
            while True:
                left = self._oldest + _GATHER_S - time.monotonic()
                due = left <= 0 or self._hurry or self._closed or len(self._waiting) >= _BATCH
                if self._waiting and due:
                    batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                    self._hurry = self._hurry and bool(self._waiting)
                    self._changed.notify_all()
                    return batch
                if self._closed and not self._waiting:
                    return []
                self._changed.wait(left if self._waiting else None)

    def _persist(self, batch: Sequence[TrialRecord]) -> None:
        since, failed = time.monotonic(), False
        while True:
            try:
                self._write(batch)
            except OSError as error:
                reason = in_words(error)
                if not failed:
                    _log.warning(
                        "%s cannot be written (%s): records are kept in memory and written as soon as it works",
                        self._where, reason, extra={"event": "store_waits", "reason": reason},
                    )  # fmt: skip
                failed = True
                with self._changed:
                    self._changed.wait_for(self._ending, _RETRY_S)
                    if self._ending() or time.monotonic() - since > self._patience_s:
                        raise StoreError(f"{self._where} cannot be written ({reason})") from None
            else:
                if failed:
                    _log.warning("%s is written again", self._where, extra={"event": "store_works"})
                return

    def _ending(self) -> bool:
        return self._impatient and self._flushing > 0

    def _give_up(self, batch: Sequence[TrialRecord], reason: str) -> None:
        with self._changed:
            left, self._waiting = [*batch, *self._waiting], []
            try:
                where = self._rescue(left)
            except Exception as error:
                # Threads that wait must learn of the failure even if the rescue fails too.
                where = f"{len(left)} records are lost ({error!r})"
            self._failure = f"{reason}; {where}"
            self._changed.notify_all()
        _log.error("%s", self._failure, extra={"event": "store_failed", "reason": reason})

    def _raise_complaint(self) -> None:
        complaint, self._complaint = self._complaint, None
        if complaint is not None:
            raise complaint
