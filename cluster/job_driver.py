"""The driver of a submitted study, which runs on the cluster as ``python -P -m vcm_sweep.cluster.job_driver``.

It takes no arguments: everything it needs is in the job's files, so that no text of a user passes through a shell.
"""

import json
import os
import platform
import sys
from typing import Any, TextIO

from vcm_sweep.cluster.commands.doctor import PYTHONS
from vcm_sweep.cluster.jobs.shipping import job_folder


def drive() -> int:
    """Run the job whose files were shipped, and return the exit code of ``vcm-sweep run``."""
    folder = job_folder()
    if folder is None:
        print("vcm-sweep: there are no files of a job here: start studies with vcm-sweep submit", file=sys.stderr)
        return 2
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    if not _usable(job):
        return 4
    # The study's own modules and first weights are looked for from the current directory, as on the user's machine.
    os.chdir(folder / "own")
    from vcm_sweep.cluster.running.watched import COMMAND_VARIABLE, SESSION_VARIABLE

    os.environ |= {SESSION_VARIABLE: job["session"], COMMAND_VARIABLE: job["command"]}
    from vcm_sweep.cluster.cli import main

    heard = sys.stderr = _Heard(sys.stderr)
    # Ray sets RAY_ADDRESS for its jobs; "auto" could find another cluster on this machine.
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        code = main(["run", job["study"], "--out", job["out"], "--address", address, *job["options"]])
    except BaseException as error:
        _report(job, f"{type(error).__name__}: {error}")
        raise
    if code not in (0, 6):
        _report(job, heard.last)
    return code


def _usable(job: dict[str, Any]) -> bool:
    """Whether this Python can run the job; if not, the reason is printed and written to the job's state."""
    try:
        if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
            first, last = (".".join(map(str, version)) for version in PYTHONS)
            raise ImportError(f"Python {platform.python_version()} is in use, and {first} to {last} were tried")
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
    """Write a failure before or after the run itself to the job's state, if nobody else has done so."""
    try:
        from vcm_sweep.sweep.folder import Folder
        from vcm_sweep.sweep.session.state import mark_failed
    except ImportError:
        return
    mark_failed(Folder(job["out"]), job["session"], reason.strip().removeprefix("vcm-sweep: "))


class _Heard:
    """A stand-in for standard error that remembers the last line."""

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
