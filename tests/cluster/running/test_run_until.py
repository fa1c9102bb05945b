"""``run --until`` and ``resume --until`` from the command line, with real trainings."""

import json
import signal
import time
from pathlib import Path

import pytest

from vcm_sweep.cluster import main
from vcm_sweep.sweep import Store

from ..calling import Running, call
from ..commands.test_life import STUDY


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.slow
def test_a_budget_ends_it_and_resume_goes_on_to_the_goal(study: Path) -> None:
    out = study.parent / "out"
    here = ("--in-process", "--no-report", "--metric", "energy")
    first = call("run", study, "--out", out, "--until", 0.02, "--budget-trials", 100, *here)
    assert first.returncode == 7, first.stderr
    lines = first.stdout.splitlines()
    assert lines[0].startswith("until 0.02: begins with n = 8; by rule of thumb it takes n = ")
    stages = [line for line in lines if line.startswith("stage ")]
    assert [stage.split(":")[1].split(",")[0].strip() for stage in stages] == ["n = 8", "n = 16"]
    assert "stopped  n = 32 would be 136 trainings, and the budget is 100" in first.stdout
    assert Store.open(out).study.design.n == 16
    more = call("resume", out, "--until", 0.45, "--json", *here)
    assert more.returncode == 0, more.stderr
    said = json.loads(more.stdout)
    assert said["met"]
    assert said["stages"][0]["n"] == 16
    assert said["stages"][-1]["widest"]["half_width"] <= 0.45
    assert said["ok"] == said["stages"][-1]["trials"]
    # The study file's own command goes on with the longer study as well: here there is nothing left to do.
    again = call("run", study, "--out", out, "--until", 0.45, "--json", *here)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["stages"][0]["n"] == said["stages"][-1]["n"]


@pytest.mark.slow
def test_what_is_interrupted_says_how_to_go_on(study: Path) -> None:
    study.write_text(STUDY.replace("epochs = 1", "epochs = 100"))
    out = study.parent / "out"
    running = Running("run", study, "--out", out, "--in-process", "--until", 0.05, "--budget-hours", 2)
    end = time.monotonic() + 240
    while not list((out / "parts").glob("*.parquet")) and time.monotonic() < end:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130, errors
    assert f"go on with: vcm-sweep resume {out} --until 0.05 --budget-hours 2.0" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--until", "0"), "--until 0 must be above 0 and at most 0.5"),
        (("--budget-trials", "10"), "--budget-trials goes with --until"),
        (("--metric", "energy"), "--metric goes with --until"),
        (("--until", "0.05", "--budget-hours", "-1"), "--budget-hours -1 must be above 0"),
        (("--until", "0.05", "--budget-trials", "10"), "--budget-trials 10 is less than the 40 trainings"),
    ],
)
def test_mistakes_are_one_line(
    options: tuple[str, ...], words: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = study.parent / "out"
    assert main(["run", str(study), "--out", str(out), "--in-process", *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()
