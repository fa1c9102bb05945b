"""``vcm-sweep tolerance`` as a user meets it: real trainings, a table, one-line errors, going on."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
n = 4
[tolerance]
target = 0.02
trials = 32
replicates = 1
confirm = 4
[run]
pack = 8
"""
COMMAND = [sys.executable, "-m", "vcm_sweep.cluster.cli"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300)


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
