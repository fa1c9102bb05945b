"""The connection to the cluster of a run: one that runs already, or one that is started for it on this machine."""

import logging
import os
import re
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import Any

from vcm_sweep.cluster.ray_executor.survivors import watch_driver
from vcm_sweep.sweep.errors import ExecutorError

_ANSWER_S = 10.0
# The system takes 107 bytes for the path of a socket. Ray's begin with the folder for temporary files, and go on with
# /ray/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store.
_LONGEST_TMP = 107 - 68
_SHORT_TMP = "/tmp"


class Connection:
    """A connection to Ray, made when this object is created.

    Args:
        address: of a running cluster (``auto`` finds a local one); None starts one on this machine.
        cpus: cores of the cluster started here; default all.

    Raises:
        ExecutorError: the cluster cannot be used.

    If the process is connected to Ray already, that connection is used and never closed. Otherwise workers start in an
    empty working directory, so that a user's file named device.py hides no module, and :meth:`close` disconnects.
    """

    def __init__(self, address: str | None, cpus: int | None) -> None:
        # Set before Ray is imported. Otherwise Ray prints to stdout, which would get between our lines, and into
        # --json.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
        import ray

        self.ray: Any = ray
        self._empty: tempfile.TemporaryDirectory[str] | None = None
        self._raylet: Any = None
        self._watch: subprocess.Popen[bytes] | None = None
        if ray.is_initialized():
            return
        if address is not None:
            _check_answers(address)
        self._empty = tempfile.TemporaryDirectory(prefix="vcm-sweep-empty-")
        options: dict[str, Any] = {
            "runtime_env": {"working_dir": self._empty.name},
            "log_to_driver": False,
            "logging_level": logging.ERROR,
        }
        if address is None:
            options |= {"num_cpus": cpus, "include_dashboard": False, **short_sockets()}
        try:
            ray.init(address=address or "local", **options)
        except Exception as error:  # Ray raises a bare Exception where a busy machine does not start it in time
            self._empty.cleanup()
            where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
            first = (str(error).splitlines() or [type(error).__name__])[0]
            fix = "vcm-sweep doctor tells more"
            if "AF_UNIX" in first:
                fix = f"set RAY_TMPDIR={_SHORT_TMP}, or another short folder, or run --in-process"
            raise ExecutorError(f"{where} cannot be used ({first}): {fix}") from None
        with suppress(AttributeError, LookupError):  # only a cluster started here has one
            self._raylet = ray._private.worker._global_node.all_processes["raylet"][0].process
            self._watch = watch_driver(self._raylet.pid)

    def check(self) -> None:
        """Raise ExecutorError if the raylet of a cluster started here has ended: soon Ray ends this process with it."""
        if self._raylet is not None and self._raylet.poll() is not None:
            raise ExecutorError(
                "the Ray cluster on this machine is gone (its raylet was killed, perhaps for want of memory): what is "
                "finished is kept; the same command goes on"
            )

    def close(self) -> None:
        """Disconnect, and stop the cluster if it was started here."""
        if self._empty is not None:
            self.ray.shutdown()
            self._empty.cleanup()
            self._empty = None
            if self._watch is not None and self._watch.stdin is not None:
                self._watch.stdin.close()


def short_sockets() -> dict[str, str]:
    """The options of ``ray.init`` with which its sockets have paths that the system takes, whatever TMPDIR is.

    A batch system makes a folder of its own for each job, with a long name. RAY_TMPDIR is the user's own choice.
    """
    given = os.environ.get("TMPDIR", "")
    if "RAY_TMPDIR" in os.environ or len(os.path.abspath(given)) <= _LONGEST_TMP or not os.access(_SHORT_TMP, os.W_OK):
        return {}
    return {"_temp_dir": f"{_SHORT_TMP}/ray"}


def _check_answers(address: str) -> None:
    """Raise ExecutorError if nothing listens at the address; Ray itself would try for minutes."""
    if re.match("https?://", address):
        raise ExecutorError(
            f"--address {address.rpartition('@')[2]} is a dashboard's, to which vcm-sweep submit sends a study: here "
            "give the cluster's own, HOST:6379, or auto on one of its nodes"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError as error:
        raise ExecutorError(
            f"the Ray cluster at {address} does not answer ({error.strerror or error}): give the address of its "
            "head, HOST:6379, or start it"
        ) from None
