"""Runs ``vcm-sweep`` in processes of their own, forked from a server that has imported everything heavy.

A new process takes seconds to import torch, aihwkit and Ray. A process that is forked from the server begins at once,
and can be killed, interrupted and read like any other. Tests that use Ray, or that must see a process start from
nothing, ask for a ``fresh`` one.
"""

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "vcm_sweep.cluster.cli"]

# The server answers lines of JSON: {"arguments": ...} with the id of a new process, {"wait": id} with its exit status.
_SERVER = """
import json, os, sys
import aihwkit, numba, optuna, pyarrow.dataset, scipy.stats, sklearn.datasets, torch
import vcm_sweep.analysis.tolerance, vcm_sweep.device, vcm_sweep.sweep
from vcm_sweep.analysis import analyze, write_report
from vcm_sweep.cluster import cli
from vcm_sweep.cluster.service import app
from vcm_sweep.device import VCMDevice
from vcm_sweep.sweep import run

def begin(asked):
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, name in enumerate((os.devnull, asked["out"], asked["err"])):
        file = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["vcm-sweep", *asked["arguments"]]
    sys.exit(cli.main(asked["arguments"]))

for line in iter(sys.stdin.readline, ""):
    asked = json.loads(line)
    if "arguments" in asked:
        child = os.fork()
        if child == 0:
            begin(asked)
        answer = child
    else:
        child, status = os.waitpid(asked["wait"], 0 if asked["block"] else os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if child else None
    print(json.dumps(answer), flush=True)
"""


class _Server:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@functools.cache
def _server() -> _Server:
    """The server of this process, started at the first call."""
    made = _Server()
    atexit.register(made.close)
    return made


class Running:
    """A running ``vcm-sweep``, with the methods of ``subprocess.Popen`` that tests use."""

    def __init__(self, *arguments: object, cwd: Path | str | None = None, env: dict[str, str] | None = None) -> None:
        self.args = [str(argument) for argument in arguments]
        self._files = [Path(tempfile.mkstemp(prefix="vcm-sweep-")[1]) for _ in range(2)]
        out, err = map(str, self._files)
        asked = {"arguments": self.args, "cwd": str(cwd or os.getcwd()), "env": dict(env or os.environ)}
        self.pid: int = _server().ask(asked | {"out": out, "err": err})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _server().ask({"wait": self.pid, "block": False})
        return self.returncode

    def wait(self, timeout: float = 300.0) -> int:
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float = 300.0) -> tuple[str, str]:
        """Wait until it has ended, and return what it wrote to stdout and to stderr."""
        self.wait(timeout)
        out, err = (file.read_text() for file in self._files)
        for file in self._files:
            file.unlink()
        return out, err

    def printed(self) -> str:
        """What it has written to stdout so far."""
        return self._files[0].read_text()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def call(
    *arguments: object, cwd: Path | str | None = None, env: dict[str, str] | None = None, timeout: float = 300.0,
    fresh: bool = False,
) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """Run ``vcm-sweep`` with these arguments to its end; ``fresh``: in a process that starts from nothing."""
    if fresh:
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd, env=env)
    running = Running(*arguments, cwd=cwd, env=env)
    out, err = running.communicate(timeout)
    assert running.returncode is not None
    return subprocess.CompletedProcess(running.args, running.returncode, out, err)
