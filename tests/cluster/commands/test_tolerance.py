"""``vcm-sweep tolerance`` as a user meets it: real trainings, a table, one-line errors, going on."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from vcm_sweep.analysis import Index
from vcm_sweep.analysis.tolerance import Tolerance, ToleranceAnswer
from vcm_sweep.analysis.tolerance.answer import END_OF_RANGE, NOMINAL
from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.terminal.tables import tolerance_table
from vcm_sweep.sweep import Store, Study, TrialRecord
from vcm_sweep.sweep.designs.build import build_design

from ..calling import call

STUDY = """
[study]
name = "small"
[network]
hidden = [4]
data = "digits"
train_samples = 96
test_samples = 100
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
n = 4
[tolerance]
target = 0.02
trials = 32
replicates = 1
confirm = 4
[run]
pack = 8
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.slow
def test_a_search_prints_its_table_and_the_next_one_goes_on(study: Path) -> None:
    out = study.parent / "out"
    first = call("tolerance", study, "--in-process", "--out", out)
    assert first.returncode == 0, first.stderr
    assert "r.d2d.sigma" in first.stdout
    assert "end of the range" in first.stdout
    assert re.search(r"dashboard +optuna-dashboard sqlite:///.*optuna.db", first.stdout)
    again = call("tolerance", study, "--in-process", "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    answer = json.loads(again.stdout)
    assert [row["factor"] for row in answer["rows"]] == ["mismatch.global.mean"] * 2 + ["r.d2d.sigma"]
    assert answer == answer | json.loads((out / "tolerance" / "one.json").read_text())
    status = json.loads(call("status", out, "--json").stdout)
    assert status["missing"] == 4 * 4, "the study itself has not run"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "2"], "[tolerance] target = 2.0 must be"),
        (["--target", "0.9", "--drop", "0.1"], "not allowed with argument"),
        (["--question", "all"], "invalid choice"),
        (["--trials", "2"], "[tolerance] trials = 2 must be a whole number from 16"),
    ],
)
def test_a_mistake_is_one_line(study: Path, options: list[str], words: str) -> None:
    done = call("tolerance", study, "--in-process", "--out", study.parent / "out", *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (study.parent / "out").exists()


def test_the_folder_of_a_search_is_no_design_to_analyse_or_to_go_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study.from_text(STUDY)
    out = tmp_path / "out" / "tolerance"
    (trial, *_) = build_design(study).trials()
    with Store.create(study, out) as store:
        store.append([dataclasses.replace(TrialRecord.failed(trial, "ok", ""), point=-1, accuracy=0.5, cpu_s=1.0)])
    before = (out / "study.toml").read_text()
    for command in (["analyze"], ["report"], ["resume", "--in-process"], ["extend", "--to", "8", "--in-process"]):
        assert main([*command, str(out)]) == 3
        said = capsys.readouterr().err
        assert "holds trainings of a search" in said
        assert said.count("\n") == 1
    assert (out / "study.toml").read_text() == before


def test_another_study_is_named_by_what_differs_beside_its_design(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = study.parent / "out"
    with Store.create(Study.from_text(STUDY.replace("n = 4", "n = 8").replace("lr = 0.02", "lr = 0.05")), out):
        pass
    assert main(["tolerance", str(study), "--in-process", "--out", str(out)]) == 3
    assert "network.lr is 0.05 there and 0.02 here" in capsys.readouterr().err


def test_a_tolerance_at_the_end_of_the_range_has_no_interval() -> None:
    at_end = Tolerance("T_0", "K", 320.0, 320.0, 320.0, END_OF_RANGE, Index("T_0", 0.9, 0.8, 1.0), nominal=293.0)
    within = dataclasses.replace(at_end, factor="r", value=310.0, low=305.0, high=315.0, limited_by="accuracy")
    shown = tolerance_table(ToleranceAnswer("one", "accuracy", 0.8, 0.95, (at_end, within), "")).splitlines()
    assert "320 or more" in shown[1]
    assert "[320, 320]" not in shown[1]
    below = dataclasses.replace(at_end, value=283.0, low=283.0, high=283.0, end="low")
    assert below.text == "293 .. 283 K or less"
    assert "310" in shown[2]
    assert "[305, 315]" in shown[2]


def test_a_nominal_device_too_near_to_the_target_is_no_tolerance_within_the_range() -> None:
    row = Tolerance("T_0", "K", 293.0, 293.0, 320.0, NOMINAL, Index("T_0", 0.9, 0.8, 1.0), nominal=293.0, share=0.0)
    said = " ".join(ToleranceAnswer("one", "accuracy", 0.9, 0.95, (row,), "").answer())
    assert "Of T_0 no tolerance can be named with 95 % confidence" in said
    assert "end within" not in said
