"""A Ray head for a single test, started as on a cluster, and killed as when a machine dies."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class Head:
    """A running head; ``home`` holds its token. It has ports of its own, since others may run Ray on this machine."""

    address: str
    gcs: str
    home: Path
    process: subprocess.Popen[bytes]
    scratch: str

    @classmethod
    def start(cls, home: Path, variables: dict[str, str] | None = None) -> "Head":
        """Start a head with one core and token authentication; ``variables``: more of its environment."""
        (home / ".ray").mkdir(parents=True, exist_ok=True)
        token = home / ".ray" / "auth_token"
        if not token.exists():
            token.write_text(secrets.token_hex(16))
        # Ray puts Unix sockets into this folder, and their paths must be short.
        scratch = tempfile.mkdtemp(prefix="vs-", dir="/tmp")
        names = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port", "node-manager-port",
                 "object-manager-port", "ray-client-server-port", "dashboard-agent-grpc-port",
                 "runtime-env-agent-port")  # fmt: skip
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        environment = environment_of(home) | (variables or {})
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=1",
                   "--temp-dir", scratch, "--disable-usage-stats", "--include-dashboard=true",
                   *(f"--{name}={port}" for name, port in ports.items())]  # fmt: skip
        with open(home / "head.log", "ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        head = cls(f"http://127.0.0.1:{ports['dashboard-port']}", f"127.0.0.1:{ports['port']}", home, process, scratch)
        head.wait()
        return head

    def wait(self) -> None:
        """Wait until the head accepts jobs."""
        import requests

        until = time.monotonic() + 300
        token = (self.home / ".ray" / "auth_token").read_text()
        while time.monotonic() < until:
            assert self.process.poll() is None, (self.home / "head.log").read_text()[-2000:]
            with contextlib.suppress(requests.RequestException):
                headers = {"Authorization": f"Bearer {token}"}
                if requests.get(f"{self.address}/api/jobs/", headers=headers, timeout=5).ok:
                    return
            time.sleep(0.3)
        raise AssertionError("the head does not answer")

    def kill(self) -> None:
        """Kill all processes of the head, and all that these have started, with -9, as when the machine dies."""
        family = [self.process.pid]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


def environment_of(home: Path) -> dict[str, str]:
    """The environment of a machine whose only token is in ``home``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "COV_"))}
    return kept | {"HOME": str(home), "RAY_AUTH_MODE": "token", "OMP_NUM_THREADS": "1"}


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
