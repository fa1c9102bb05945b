"""The command line as a user meets it: exit codes, one-line errors, interruption and resumption."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from .calling import Running, call

STUDY = """
[study]
name = "small"
[network]
hidden = [8]
data = "digits"
epochs = 1
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
n = 16
replicate_rows = 16
[run]
pack = 4
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


def test_help_answers_and_imports_nothing_heavy() -> None:
    """In a process that starts from nothing: what --help imports is what its user waits for."""
    helped = call("--help", fresh=True)
    assert helped.returncode == 0
    assert "doctor" in helped.stdout
    code = "import sys; from vcm_sweep.cluster.cli import build_parser; build_parser(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "ray", "aihwkit", "SALib", "pyarrow", "numpy"} & set(modules)


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    from vcm_sweep.cluster.cli import main

    for options in ([], ["--json"]):
        assert main(["schema", *options]) == 0
        assert json.loads(capsys.readouterr().out)["required"] == ["study", "network", "design"]


@pytest.mark.parametrize(
    ("edit", "code", "words"),
    [
        (("lr = 0.02", "lr = -1"), 2, "lr = -1"),
        (("r.d2d.sigma", "radius"), 2, "unknown factor 'radius'"),
    ],
)
def test_a_mistake_is_one_line(study: Path, edit: tuple[str, str], code: int, words: str) -> None:
    study.write_text(STUDY.replace(*edit))
    done = call("run", study, "--out", study.parent / "out")
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (study.parent / "out").exists()


@pytest.mark.slow
def test_a_folder_of_another_study_is_refused(study: Path) -> None:
    out = study.parent / "out"
    assert call("run", study, "--out", out, "--in-process", "--no-report").returncode == 0
    study.write_text(STUDY.replace("lr = 0.02", "lr = 0.03"))
    done = call("run", study, "--out", out)
    assert done.returncode == 3
    assert "network.lr is 0.02 there and 0.03 here" in done.stderr


def test_missing_files_are_one_line(tmp_path: Path) -> None:
    for arguments, code in ((("run", tmp_path / "no.toml"), 2), (("status", tmp_path), 3), (("report", tmp_path), 3)):
        done = call(*arguments)
        assert done.returncode == code
        assert done.stderr.count("\n") == 1


def keys(out: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [key for part in (out / "parts").glob("*.parquet") for key in pq.read_table(part)["key"].to_pylist()]


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["nwe"], 2, "did you mean 'new'?"),
        (["new", "--template", "rnk"], 2, "did you mean 'rank'?"),
        (["run", "small.toml", "--outt", "x"], 2, "did you mean '--out'?: see vcm-sweep run --help"),
        (["device", "fit", "x.csv", "--fit", "r", "--colums", "y"], 2, "'--columns'?: see vcm-sweep device fit --help"),
        (["plan", "smal.toml"], 2, "smal.toml: there is no such file; did you mean small.toml?"),
        (["plan", "small"], 2, "small: there is no such file; did you mean small.toml?"),
        (["plan", "other.toml"], 2, "other.toml: there is no such file: give the path of a study file"),
        (["status", "first"], 3, "first is no results folder (no study.toml); did you mean runs/first-0123abcd?"),
        (["analyze", "run/first-0123abcd"], 3, "did you mean runs/first-0123abcd?"),
        (["logs", "runs/frist"], 3, "did you mean runs/first-0123abcd?"),
        (["report", "other"], 3, "other is no results folder (no study.toml): give the folder that run printed"),
        (["analyze", "."], 3, ". is no results folder (no study.toml): give the folder that run printed"),
    ],
)
def test_a_name_that_is_nearly_right_is_suggested(
    words: list[str], code: int, hint: str, study: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from vcm_sweep.cluster.cli import main

    monkeypatch.chdir(study.parent)
    Path("runs/first-0123abcd").mkdir(parents=True)
    Path("runs/first-0123abcd/study.toml").write_text(STUDY)
    try:
        ended = main(words)
    except SystemExit as exit:
        ended = exit.code  # type: ignore[assignment]
    said = capsys.readouterr().err
    assert (ended, hint in said, said.count("\n")) == (code, True, 1), said


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    from vcm_sweep.cluster.cli import main

    assert main([]) == 2
    assert "tolerance" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_one_line(study: Path) -> None:
    for command, where in (("run", []), ("run", ["--in-process"]), ("plan", ["--no-pilot"]), ("plan", [])):
        failed = call(command, study, "--device", "cuda", *where)
        assert failed.returncode == 2
        assert failed.stderr.startswith("vcm-sweep: --device cuda cannot be used here (")
        assert failed.stderr.count("\n") == 1
    assert not (study.parent / "runs").exists()


def test_a_study_that_a_gpu_cannot_do_is_one_line_before_a_cluster_is_asked() -> None:
    analytic = Path(__file__).parents[2] / "studies" / "analytic.toml"
    for command in ("run", "plan"):
        failed = call(command, analytic, "--device", "cuda", "--address", "127.0.0.1:1")
        assert failed.returncode == 2
        assert "aihwkit's compiled tiles ([device] aihwkit = 'ConstantStepDevice': install its CUDA" in failed.stderr
        assert failed.stderr.count("\n") == 1


def test_what_the_cpu_pulses_for_a_gpu_is_said() -> None:
    mismatch = Path(__file__).parents[2] / "studies" / "mismatch.toml"
    planned = call("plan", mismatch, "--device", "cuda", "--address", "127.0.0.1:1", "--no-pilot")
    assert planned.returncode == 0
    assert "beware" in planned.stdout
    assert "one core of the CPU computes the pulses of a whole pack" in planned.stdout


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_goes_on(study: Path, how: signal.Signals) -> None:
    """kill -9 and Ctrl-C in the middle: nothing finished is lost, nothing is done twice."""
    out = study.parent / "out"
    running = Running("run", study, "--out", out, "--in-process", "--no-report")
    deadline = time.monotonic() + 300
    while not (out / "parts").is_dir() or not list((out / "parts").glob("*.parquet")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(how)
    _, errors = running.communicate()
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert f"go on with: vcm-sweep resume {out}" in errors
    before = keys(out)
    assert 0 < len(before) < 80
    assert call("run", study, "--out", out, "--in-process", "--no-report").returncode == 0
    after = keys(out)
    assert len(after) == len(set(after)) == 16 * 4 + 16
    assert set(before) <= set(after)


@pytest.mark.ray
def test_run_on_ray_with_report_status_analyze(study: Path) -> None:
    out = study.parent / "out"
    done = call("run", study, "--out", out, "--json", cwd=study.parent, fresh=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["ok"] == 80
    assert Path(said["report"]).stat().st_size > 10_000
    assert json.loads(call("status", out, "--json").stdout)["ok"] == 80
    analysis = call("analyze", out)
    assert analysis.returncode == 0
    assert "r.d2d.sigma" in analysis.stdout
    # What the workers computed is what this process computes, bit for bit.
    again = study.parent / "again"
    assert call("run", study, "--out", again, "--in-process", "--no-report").returncode == 0
    assert accuracies(out) == accuracies(again)


def accuracies(out: Path) -> dict[str, float]:
    import pyarrow.parquet as pq

    tables = [pq.read_table(part) for part in (out / "parts").glob("*.parquet")]
    return {k: a for t in tables for k, a in zip(t["key"].to_pylist(), t["accuracy"].to_pylist(), strict=True)}


OWN = """
import torch
from torch import nn
from torch.utils.data import TensorDataset

def data():
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 12, generator=g)
    def part(n):
        y = torch.randint(3, (n,), generator=g)
        return TensorDataset(centres[y] + 0.3 * torch.randn(n, 12, generator=g), y)
    return part(96), part(48)

def model(shape, classes):
    return nn.Sequential(nn.Linear(*shape, 8), nn.ReLU(), nn.Linear(8, classes))
"""


@pytest.mark.slow
@pytest.mark.ray
def test_workers_find_a_users_own_model_and_data(study: Path) -> None:
    for name in ("analysis", "device", "sweep", "cluster"):
        (study.parent / f"{name}.py").write_text("raise RuntimeError('a neighbour of the study is not to be imported')")
    (study.parent / "my_cells.py").write_text(OWN)
    own = STUDY.replace("hidden = [8]", 'model = "my_cells:model"').replace('"digits"', '"my_cells:data"')
    study.write_text(own.replace("pack = 4", "").replace("n = 16\nreplicate_rows = 16", "n = 4"))
    done = call("run", study.name, "--no-report", "--json", "--cpus", 2, cwd=study.parent, fresh=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] == 16
    (study.parent / "my_cells.py").write_text(OWN.replace("manual_seed(0)", "manual_seed(1)"))
    # Other data are another study.
    again = json.loads(call("plan", study.name, "--no-pilot", "--json", cwd=study.parent).stdout)
    first = json.loads(done.stdout)["folder"]
    assert (again["done"], again["folder"] != first) == (0, True)
    refused = call("run", study.name, "--out", first, "--in-process", cwd=study.parent)
    assert refused.returncode == 3
    assert "frozen.data_digest" in refused.stderr
    # A folder is read without running anybody's code.
    (study.parent / "my_cells.py").write_text("raise RuntimeError('not to be imported')")
    assert json.loads(call("status", first, "--json", cwd=study.parent).stdout)["ok"] == 16


@pytest.mark.slow
def test_a_killed_training_goes_on_inside_its_pack(study: Path) -> None:
    """One long pack: without checkpoints a kill would lose all of it."""
    text = STUDY.replace("epochs = 1", "epochs = 30").replace("n = 16\nreplicate_rows = 16", "n = 2")
    study.write_text(text.replace("pack = 4", "pack = 8\ncheckpoint_s = 0.3"))
    whole, cut = study.parent / "whole", study.parent / "cut"
    assert call("run", study, "--out", whole, "--in-process", "--no-report").returncode == 0
    process = Running("run", study, "--out", cut, "--in-process", "--no-report")
    until = time.monotonic() + 300
    while not list(cut.glob("checkpoints/*.safetensors")):
        assert time.monotonic() < until
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not list(cut.glob("parts/*.parquet"))
    assert call("run", study, "--out", cut, "--in-process", "--no-report").returncode == 0
    assert not (cut / "checkpoints").exists()
    import pandas as pd

    frames = [pd.read_parquet(folder / "parts").sort_values("key", ignore_index=True) for folder in (whole, cut)]
    spent = ["wall_s", "cpu_s"]
    pd.testing.assert_frame_equal(*(frame.drop(columns=spent) for frame in frames), check_exact=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(study: Path) -> None:
    locked = study.parent / "locked"
    locked.mkdir(mode=0o500)
    done = call("run", study, "--out", locked / "out")
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
