"""The life of a study from the command line: planned, stopped, resumed, retried, made longer."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vcm_sweep.cluster import main
from vcm_sweep.sweep import Store, Study, TrialRecord, build_design, train

from ..calling import Running, call

STUDY = """
[study]
name = "small"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
train_samples = 320
test_samples = 100
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[design]
method = "sobol"
n = 8         # base points
replicate_rows = 8
[run]
pack = 4
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


def said(*arguments: object, **options: Any) -> dict[str, object]:
    done = call(*arguments, "--json", **options)
    assert done.returncode in (0, 6), done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def rows(out: Path) -> list[dict[str, object]]:
    parts = sorted((out / "parts").glob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read(use_threads=False).to_pylist()]


def test_plan_run_resume_retry_extend(study: Path) -> None:
    """Of trials that all met their deadline at first; what is printed last is what works next."""
    here, out = {"cwd": study.parent}, study.parent / "out"
    made = Study.from_toml(study)
    with Store.create(made, out) as store:
        store.append([TrialRecord.failed(trial, "timeout", "after 0.1 s") for trial in build_design(made).trials()])
    first = said("run", study, "--out", out, "--in-process", "--no-report", **here)
    assert first["timeout"] == 40
    assert str(first["next"]).startswith(f"vcm-sweep retry {out}")
    refused = call("retry", out, "--only", "timout", **here)
    assert refused.returncode == 2
    assert "--only 'timout' must be one or more of diverged, timeout, oom" in refused.stderr
    assert refused.stderr.count("\n") == 1
    again = said("retry", out, "--only", "timeout", "--in-process", "--no-report", "--deadline-s", 600, **here)
    assert again["ok"] == 40
    assert again["next"] == f"vcm-sweep analyze {out}"
    longer = said("extend", out, "--to", 16, "--no-run", **here)
    assert (longer["n"], longer["trials_added"]) == ("8 -> 16", 32)
    assert "n = 16         # base points" in (out / "study.toml").read_text()
    kept = {row["key"]: row["accuracy"] for row in rows(out) if row["status"] == "ok"}
    assert said(*str(longer["next"]).split()[1:], "--in-process", "--no-report", **here)["ok"] == 72
    finished = [row for row in rows(out) if row["status"] == "ok"]
    assert len(finished) == len({row["key"] for row in finished}) == 72
    assert kept.items() <= {row["key"]: row["accuracy"] for row in finished}.items()
    assert call("run", study, "--out", out, "--in-process", **here).returncode == 3


@pytest.mark.slow
def test_plan_says_what_it_will_cost_and_makes_nothing(study: Path) -> None:
    """From corners of the ranges; of long trainings from their beginning."""
    study.write_text(STUDY.replace("epochs = 1", "epochs = 4000").replace("n = 8", "n = 64"))
    values = said("plan", study, "--in-process", "--pilot-s", 4, "--failure-rate", 0.1, cwd=study.parent)
    assert (values["points"], values["trials"], values["done"], values["packs_to_run"]) == (256, 264, 0, 66)
    assert values["blocks_lost"] == pytest.approx(1 - 0.9**4)
    assert "a pilot of 8 rows" in str(values["cost_from"])
    assert "% of an epoch" in str(values["cost_from"])
    low, high = values["core_hours_interval"]  # type: ignore[misc]
    assert 0 < low < values["core_hours"] < high
    assert values["trial_s_median"] <= values["trial_s_p95"]  # type: ignore[operator]
    assert values["wall_hours"] == pytest.approx(264 * values["core_hours"] / 264, rel=0.3)  # type: ignore[operator]
    assert [path.name for path in study.parent.iterdir()] == ["small.toml"]


@pytest.mark.slow
def test_what_plan_extrapolates_is_what_training_takes(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a factor of two on a busy machine: CPU time of a beginning, and of the whole.

    The median is of ten packs, since the first one pays for loading what has been compiled. No variable keeps torch
    from taking all cores, which would spin and count: a run in the process takes [run] cpus_per_pack.
    """
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    long = STUDY.replace("epochs = 1", "epochs = 40")
    study.write_text(long)
    part = said("plan", study, "--in-process", "--pilot-s", 1, cwd=study.parent, fresh=True)
    assert "extrapolated" in str(part["cost_from"])
    done = said("run", study, "--in-process", "--no-report", cwd=study.parent)
    spent = [float(str(row["cpu_s"])) for row in rows(study.parent / str(done["folder"]))]
    assert 0.5 < float(str(part["trial_s_median"])) / sorted(spent)[len(spent) // 2] < 2


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(study: Path) -> None:
    study.write_text(STUDY.replace("n = 8", "n = 64"))
    out = study.parent / "out"
    for how in (signal.SIGINT, signal.SIGTERM):
        running = Running("run", study, "--out", out, "--in-process", "--no-report")
        until, before = time.monotonic() + 300, len(rows(out))
        while len(list(out.glob("parts/*.parquet"))) == 0 or len(rows(out)) == before:
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(how)
        _, errors = running.communicate()
        assert running.returncode == 130
        kept = len(rows(out))
        assert before < kept < 264
        line = errors.strip().splitlines()[-1]
        assert line == (
            f"vcm-sweep: interrupted; {kept} of 264 trials are kept in {out}; go on with: vcm-sweep resume {out}"
        )
        assert "Traceback" not in errors


@pytest.mark.slow
def test_a_study_of_trajectories_runs_and_is_analysed(study: Path) -> None:
    study.write_text(STUDY.replace("sobol", "morris"))
    out = study.parent / "out"
    done = said("run", study, "--out", out, "--in-process")
    assert done["ok"] == 8 * 3 + 8
    assert "mean absolute effect" in Path(done["report"]).read_text(encoding="utf-8")
    found = json.loads(call("analyze", out, "--metric", "frac_at_bound", "--json").stdout)
    assert found["method"] == "morris"
    refused = call("analyze", out, "--method", "sobol")
    assert refused.returncode == 5
    assert "morris" in refused.stderr
    assert refused.stderr.count("\n") == 1


# A driver that is forked from a process which has loaded and compiled everything: it is killed within its first
# seconds of real work, not while it imports torch.
DRIVER = """
import os, sys, functools, random
from pathlib import Path
import torch
torch.set_num_threads(1)
from vcm_sweep.sweep import InProcessExecutor, Study, build_design, run, train
import vcm_sweep.sweep.running.running, vcm_sweep.sweep.store.results, vcm_sweep.sweep.training.checkpoint
study = Study.from_toml(sys.argv[1])
out = Path(sys.argv[2])
train(list(build_design(study).trials(range(2))))
task = functools.partial(train, checkpoints=str(out / "checkpoints"), checkpoint_s=0.05)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(study, InProcessExecutor(task), out)
        os._exit(0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)
"""


@pytest.mark.slow
def test_a_driver_killed_twenty_times_loses_nothing_and_does_nothing_twice(study: Path) -> None:
    """Real trainings, a real store, kill -9 at random moments; in the end it is as if nothing had happened."""
    study.write_text(STUDY.replace("n = 8 ", "n = 128 ").replace("epochs = 1", "epochs = 2"))
    out = study.parent / "out"
    victim = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(study), str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert victim.stdin is not None
    assert victim.stdout is not None

    def start() -> int:
        print("go", file=victim.stdin, flush=True)
        return int(victim.stdout.readline())  # type: ignore[union-attr]

    def ended() -> int:
        return int(victim.stdout.readline())  # type: ignore[union-attr]

    try:
        rng, held, span = random.Random(5), dict[object, object](), 0.0
        for _ in range(21):
            child, began = start(), time.monotonic()
            # The first one shows how long it takes here until something is durable.
            while not span and not rows(out):
                time.sleep(0.02)
            span = span or 1.5 * (time.monotonic() - began)
            time.sleep(rng.uniform(0.0, span) if held else 0.0)
            os.kill(child, signal.SIGKILL)
            assert ended() == signal.SIGKILL
            found = rows(out)
            now = {row["key"]: row["accuracy"] for row in found}
            assert len(now) == len(found), "a trial is there twice"
            assert held.items() <= now.items(), "a trial is lost"
            held = now
        assert 0 < len(held) < 520
        start()
        assert ended() == 0
    finally:
        victim.kill()
        victim.wait()
    assert not (out / "checkpoints").exists()
    found = rows(out)
    accuracy = {row["key"]: row["accuracy"] for row in found}
    assert len(accuracy) == len(found) == 520
    assert held.items() <= accuracy.items()
    some = [trial for trial in build_design(Study.from_toml(study)).trials() if trial.key in held][:8]
    assert all(accuracy[record.key] == record.accuracy for record in train(some))


def test_a_rerun_counts_the_failures_that_the_folder_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = Study.from_text(STUDY)
    trials = list(build_design(study).trials())
    with Store.create(study, tmp_path / "x") as store:
        store.append([TrialRecord.failed(trial, "timeout", "late") for trial in trials])
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    assert main(["run", str(tmp_path / "study.toml"), "--in-process", "--no-report", "--out", str(tmp_path / "x")]) == 6
    count = len(trials)
    assert f"{count}/{count} trials, {count} failed ({count} timeout)" in capsys.readouterr().err
