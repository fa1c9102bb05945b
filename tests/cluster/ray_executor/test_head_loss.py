"""The head of a cluster dies during a run: the driver ends by itself, with one line, and keeps what was finished."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from ..ray_head import Head, environment_of

COMMAND = [sys.executable, "-m", "vcm_sweep.cluster.cli"]
# Packs of one trial, more of them than the test waits for.
STUDY = """
[study]
name = "lost"
[network]
hidden = [8]
data = "digits"
epochs = 12
batch = 32
lr = 0.02
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[design]
method = "sobol"
n = 64
[run]
pack = 1
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "lost.toml"
    path.write_text(STUDY)
    return path


def keys(out: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [key for part in (out / "parts").glob("*.parquet") for key in pq.read_table(part)["key"].to_pylist()]


def begun(
    study: Path, out: Path, home: Path, *options: str, program: Sequence[str] = COMMAND
) -> "subprocess.Popen[str]":
    """A run that has kept some trials more than were there."""
    command, there = [*program, "run", str(study), "--out", str(out), "--no-report", "--json", *options], len(keys(out))
    running = subprocess.Popen(command, env=environment_of(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, cwd=study.parent)  # fmt: skip
    until = time.monotonic() + 300
    while len(keys(out)) < there + 2:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.3)
    return running


def kill_gcs(pid: int) -> None:
    """kill -9 of the GCS among the descendants of a process."""
    [gcs] = [child for child in psutil.Process(pid).children(recursive=True) if child.name() == "gcs_server"]
    gcs.kill()


def ended(running: "subprocess.Popen[str]", out: Path, before: int) -> tuple[float, str]:
    """Seconds until the run ended by itself, and its last line."""
    began = time.monotonic()
    try:
        _, errors = running.communicate(timeout=600)
    finally:
        running.kill()
    seconds = time.monotonic() - began
    assert running.returncode == 4, errors
    last = errors.splitlines()[-1]
    assert "is gone" in last, errors
    assert "what is finished is kept" in last
    assert "Traceback" not in errors
    assert len(keys(out)) == len(set(keys(out))) >= before
    [session] = [json.loads(path.read_text()) for path in (out / "sessions").glob("*.json")]
    assert (session["state"], "is gone" in session["reason"]) == ("failed", True)
    print(f"ended after {seconds:.1f} s: {last}")
    return seconds, last


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("dies", ["gcs", "machine"])
def test_a_run_ends_when_its_head_is_gone_and_goes_on_with_the_next(tmp_path: Path, study: Path, dies: str) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    head = Head.start(home)
    try:
        running = begun(study, out, home, "--address", head.gcs)
        before = len(keys(out))
        if dies == "gcs":
            kill_gcs(head.process.pid)
        else:
            head.kill()
        seconds, last = ended(running, out, before)
    finally:
        head.kill()
    assert f"the Ray cluster at {head.gcs} is gone" in last
    # By our own word, before Ray ends the process; not before a head that starts anew may be back.
    assert seconds > 30
    kept = set(keys(out))
    head = Head.start(home)
    try:
        again = begun(study, out, home, "--address", head.gcs)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=300)
        assert again.returncode == 130
    finally:
        head.kill()
    assert len(keys(out)) == len(set(keys(out))) > len(kept)


# What the executor does not foresee: a call of Ray that waits for the head.
STUCK = """
import sys
from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.ray_executor.head import Head
Head.silent = lambda head: False
Head.asked = lambda head, question: question()
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_that_ray_does_not_let_go_ends_too(tmp_path: Path, study: Path) -> None:
    out, home = tmp_path / "out", tmp_path / "home"
    head = Head.start(home)
    try:
        running = begun(study, out, home, "--address", head.gcs, program=[sys.executable, "-c", STUCK])
        kill_gcs(head.process.pid)
        seconds, _ = ended(running, out, 2)
    finally:
        head.kill()
    assert seconds > 30


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_with_its_own_ray_ends_too_and_leaves_no_process(tmp_path: Path, study: Path) -> None:
    running = begun(study, tmp_path / "out", tmp_path, "--cpus", "1")
    family = psutil.Process(running.pid).children(recursive=True)
    kill_gcs(running.pid)
    _, last = ended(running, tmp_path / "out", 2)
    assert "the Ray cluster on this machine is gone" in last
    # Ray's agents notice by themselves that their raylet is gone.
    until = time.monotonic() + 300
    while left := [process for process in family if lives(process)]:
        assert time.monotonic() < until, left
        time.sleep(1)


def lives(process: psutil.Process) -> bool:
    """One that ended, and that nobody has asked about yet, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
