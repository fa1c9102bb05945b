"""Ends what a cluster started here leaves behind when its driver was killed, which would live on for a minute.

Ray's agents notice within seconds that their raylet is gone, and then try for 60 s to tell the head, which is gone too
(measured with Ray 2.60). So a small process watches the driver, by a pipe that the system closes when the driver ends.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_OWN_WAY_S, _LOOK_EVERY_S = 6.0, 0.5


def watch_driver(raylet: int) -> "subprocess.Popen[bytes]":
    """The process that ends a raylet's agents once this process is gone, or has closed the pipe to it."""
    agents = [f"{pid}:{began}" for pid, (parent, began) in _processes().items() if parent == raylet]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *agents], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _processes() -> dict[int, tuple[int, str]]:
    """(parent, when it was begun) of all processes, by id; an id may be used again, but not with that time."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            values = place.read_text(errors="replace").rpartition(")")[2].split()
            found[int(place.parent.name)] = (int(values[1]), values[19])
    return found


def _end(agents: list[str]) -> None:
    sys.stdin.buffer.read()
    until = time.monotonic() + _OWN_WAY_S
    while True:
        left = [pid for pid, (_, began) in _processes().items() if f"{pid}:{began}" in agents]
        if not left or time.monotonic() > until:
            break
        time.sleep(_LOOK_EVERY_S)
    for pid in left:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _end(sys.argv[1:])
