"""What ``plan`` says of a space study's size: by its records, by an assumption, or that no verdict will follow."""

import json
from pathlib import Path
from typing import Any

import pytest

from vcm_sweep.cluster import main

from ...analysis.stored import stored
from ...studies import TINY

SPACE = TINY.replace('method = "sobol"\nn = 4', "n = 256")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(SPACE)
    return path


def planned(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["plan", *map(str, arguments), "--no-pilot", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_without_records_it_is_an_assumption(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = planned(capsys, study)
    assert (said["method"], said["trials"]) == ("space", 512)
    assert said["for_5_points"].startswith(
        "about 1,024 trainings if luck is 20 % of the variance, 4,096 if 50 % (assumed"
    )
    assert main(["plan", str(study), "--no-pilot"]) == 0
    assert "for 5 points" in capsys.readouterr().out


def test_from_records_it_is_what_they_tell(tmp_path: Path, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also for a study that is longer than its pilot, which is its sibling then."""
    results = stored(tmp_path / "runs" / "synthetic-pilot", 256, design='method = "space"\n')
    study.write_text(results.study.text.replace("n = 256", "n = 512"))
    said = planned(capsys, study)["for_5_points"]
    assert said.endswith("runs/synthetic-pilot")
    assert "; from the records of " in said
    assert said.startswith(("about ", "none more: every total index is known to "))


@pytest.mark.parametrize(
    ("design", "words"),
    [
        ("n = 64", "[design] n = 64 is too few points for a verdict, 256 or more are needed: give n = 256, or extend"),
        (
            "n = 256\nreplicates = 1",
            "[design] replicates = 1, replicate_rows = 0 train too few points twice for a verdict, 32 or more",
        ),
    ],
)
def test_no_verdict_is_said_beforehand(
    design: str, words: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(SPACE.replace("n = 256", design))
    said = planned(capsys, study)
    assert said["verdict"].startswith(f"none: {words}")
    assert "for_5_points" not in said


def test_a_small_study_runs_and_says_that_no_verdict_follows(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(SPACE.replace("n = 256", "n = 2"))
    assert main(["run", str(study), "--in-process", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines()[0].startswith("vcm-sweep: [design] n = 2 is too few points for a verdict")
    told = json.loads(said.out)
    assert told["ok"] == 4
    assert "2 points are too few" in told["no_report"]
    assert told["next"] == f"vcm-sweep extend {told['folder']} --to 64"
