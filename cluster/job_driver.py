"""The driver of a submitted study: runs on the cluster, as ``python -P -m vcm_sweep.cluster.job_driver``.

It has no arguments: what is to be done is in the job's files, so no text of a user's goes through a shell.
"""

import json
import os
import platform
import sys
from typing import Any, TextIO

from vcm_sweep.cluster.jobs.shipping import job_folder


def drive() -> int:
    """Run the job whose files were shipped; the exit code of ``vcm-sweep run``."""
    folder = job_folder()
    if folder is None:
        print("vcm-sweep: this is started by vcm-sweep submit, there are no files of a job here", file=sys.stderr)
        return 2
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if not _usable(job):
        return 4
    # Modules and first weights that the study names are looked for here, as where vcm-sweep is started.
    os.chdir(folder / "own")
    from vcm_sweep.cluster.running.watched import COMMAND_VARIABLE, SESSION_VARIABLE

    os.environ |= {SESSION_VARIABLE: job["session"], COMMAND_VARIABLE: job["command"]}
    from vcm_sweep.cluster.cli import main

    heard = sys.stderr = _Heard(sys.stderr)
    # The supervisor of jobs names its own cluster; "auto" could find another one on this machine.
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        code = main(["run", str(folder / "study.toml"), "--out", job["out"], "--address", address, *job["options"]])
    except BaseException as error:
        _report(job, f"{type(error).__name__}: {error}")
        raise
    if code not in (0, 6):
        _report(job, heard.last)
    return code


def _usable(job: dict[str, Any]) -> bool:
    """Whether this Python can run the job; otherwise it says why, and so does the job's state."""
    try:
        if sys.version_info[:2] != (3, 12):
            raise ImportError(f"Python {platform.python_version()} is in use, and aihwkit's wheel needs 3.12")
        import aihwkit
        import pyarrow
        import ray
        import torch

        _ = aihwkit, pyarrow, ray, torch
    except ImportError as error:
        reason = (
            f"the cluster's {sys.executable} cannot run studies ({error}): install vcm-sweep there, or name --python"
        )
        print(f"vcm-sweep: {reason}", file=sys.stderr)
        _report(job, reason)
        return False
    return True


def _report(job: dict[str, Any], reason: str) -> None:
    """Note a failure that came before or after the run itself, where nobody else has."""
    try:
        from vcm_sweep.sweep.folder import Folder
        from vcm_sweep.sweep.session.state import mark_failed
    except ImportError:
        return
    mark_failed(Folder(job["out"]), job["session"], reason.strip().removeprefix("vcm-sweep: "))


class _Heard:
    """Standard error, with the last line that went there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.last = ""

    def write(self, text: str) -> int:
        lines = [line for line in text.splitlines() if line.strip()]
        self.last = lines[-1] if lines else self.last
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


if __name__ == "__main__":
    sys.exit(drive())
