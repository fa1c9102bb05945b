"""The live view of a run: redrawn in place on a terminal, one line per minute in a file, and in a notebook."""

import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vcm_sweep.cluster.terminal.live_view import LiveView

RUN = """
import logging, sys, time
from vcm_sweep.cluster.terminal.live_view import LiveView
from vcm_sweep.sweep.trial import TrialRecord

def record(n, status="ok", reason=""):
    return TrialRecord(str(n), n, 0, {}, n, status, reason, accuracy=n / 10)

with LiveView("demo", lambda: {"node-a": 2, "node-b": 1}, line_every_s=0.4) as view:
    view(0, 8, [])
    time.sleep(0.7)
    view(2, 8, [record(1), record(2, "timeout", "60 s")])
    logging.getLogger("vcm_sweep").warning("a worker was lost")
    view(8, 8, [record(n) for n in range(3, 9)])
    time.sleep(0.7)
print("the result")
"""


def test_a_file_gets_whole_lines_now_and_then() -> None:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True, timeout=300)
    seconds = time.monotonic() - began
    lines = done.stderr.splitlines()
    assert done.stdout == "the result\n"
    assert 4 <= len(lines) <= 5 + seconds / 0.4
    assert "\x1b" not in done.stderr
    assert lines[0].startswith("demo: 0/8 trials, 0 failed, 3 packs running, - trials/h, time left -")
    assert "demo: a worker was lost" in lines
    assert "demo: 8/8 trials, 1 failed (1 timeout), 3 packs running" in lines[-1]
    assert lines[-1].endswith("accuracy 0.10 to 0.80")


def test_a_terminal_is_redrawn_in_place_and_leaves_standard_output_alone(tmp_path: Path) -> None:
    screen = on_a_terminal([sys.executable, "-c", RUN], tmp_path / "stdout", columns=60)
    assert (tmp_path / "stdout").read_text() == "the result\n"
    assert "\x1b[1A" in screen or "\x1b[2K" in screen, "nothing moved the cursor up"
    shown = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).replace("\r", "\n").split("\n") if line]
    assert max(map(len, shown)) <= 60, "a wrapped line cannot be redrawn"
    last = shown[-6:]
    assert last[0].startswith("demo  8/8 trials  ####")
    assert last[1].startswith("1 failed, 3 packs running, ")
    failures, nodes, event = last[3:]
    assert (failures, event) == ("failed: 1 timeout", "last: a worker was lost")
    # What does not fit is cut.
    assert nodes.startswith("nodes: node-a 2 packs, 0 trials; node-b 1 pack, 0 trials;")
    assert nodes.endswith("…")


def on_a_terminal(command: list[str], stdout: Path, columns: int) -> str:
    """What a command writes to its terminal, which is its standard error."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "30", "TERM": "xterm"}
    with open(stdout, "w") as file:
        running = subprocess.Popen(command, stdin=slave, stdout=file, stderr=slave, env=environment)
    os.close(slave)
    read = b""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            read += chunk
        elif running.poll() is not None:
            break
    os.close(master)
    assert running.wait(60) == 0
    return read.decode()


def test_a_notebook_gets_one_output_that_is_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real kernel, spoken to as a notebook does."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(startup_timeout=300)
    outputs: list[tuple[str, str]] = []
    try:

        def hear(message: dict[str, object]) -> None:
            content = json.loads(json.dumps(message["content"], default=str))
            kind = str(message["msg_type"])
            if kind in ("display_data", "update_display_data"):
                outputs.append((kind, content["data"]["text/plain"]))
            elif kind in ("error", "stream"):
                outputs.append((kind, content.get("text") or str(content)))

        client.execute_interactive(RUN.replace("time.sleep(0.7)", "time.sleep(1.1)"), timeout=300, output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    shown = [text for kind, text in outputs if kind == "display_data"]
    updates = [text for kind, text in outputs if kind == "update_display_data"]
    assert len(shown) == 1
    assert shown[0].startswith("demo  0/8 trials")
    assert updates[-1].startswith("demo  8/8 trials")
    assert "last: a worker was lost" in updates[-1]
    assert [text for kind, text in outputs if kind in ("error", "stream")] == ["the result\n"]


class FullDisk(io.StringIO):
    """A log file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_on_a_full_disk_does_not_end_a_run() -> None:
    """The store warns of the same full disk: an error out of that warning would end the store's thread."""
    with LiveView("demo", stream=FullDisk(), line_every_s=0.05) as view:
        view(0, 8, [])
        logging.getLogger("vcm_sweep").warning("the store cannot be written")
        time.sleep(0.2)
        view(8, 8, [])


def test_the_error_that_ends_a_run_is_left_to_its_last_line() -> None:
    stream = io.StringIO()
    with LiveView("study", stream=stream) as view:
        view(0, 2, [])
        logging.getLogger("vcm_sweep").warning("the folder waits")
        logging.getLogger("vcm_sweep").error("the folder cannot be written")
    assert "study: the folder waits" in stream.getvalue()
    assert "cannot be written" not in stream.getvalue()


def test_what_takes_long_is_shown_while_it_does() -> None:
    stream, doing = io.StringIO(), ["compiling the kernels"]
    with LiveView("demo", stream=stream, line_every_s=60, doing=lambda: doing[0]) as view:
        view(0, 8, [])
        assert view.lines()[-1] == "now: compiling the kernels"
        doing[0] = ""
        assert not [line for line in view.lines() if "now" in line]
    first, last = stream.getvalue().splitlines()
    assert first.endswith(", now: compiling the kernels")
    assert "now" not in last
