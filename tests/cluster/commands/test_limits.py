"""``vcm-sweep limits`` of a study: run, resumed, made longer, given its interventions; with real trainings."""

import json
import shutil
from pathlib import Path

import pytest

from vcm_sweep.analysis import AnalysisError, analyze
from vcm_sweep.cluster.cli import main
from vcm_sweep.sweep import Store, Study, build_design, open_results, train
from vcm_sweep.sweep.running.limits_study import limits_study, open_limits

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
[design]      # of the study itself
n = 2
replicates = 2

[device]
dw_min = 4e-4
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[run]
pack = 8
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The results folder of a study of which nothing has run yet."""
    with Store.create(Study.from_text(STUDY), tmp_path / "out"):
        pass
    return tmp_path / "out"


def said(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == code
    return capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == code
    message = capsys.readouterr().err
    assert message.startswith("vcm-sweep: ")
    assert message.count("\n") == 1
    return message


def test_limits_of_a_study_are_made_and_made_longer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(said(capsys, "limits", folder, "--n", 8, "--in-process", "--json"))
    assert told["ok"] == 8 * 4
    assert told["limits"]["pairs"] == 8
    results = open_results(folder / "limits")
    # The numbers are those of trainings done alone, of the same seed: nothing but the factor differs.
    nominal, *others = (build_design(results.study).trial(point, 0) for point in range(4))
    assert len({nominal.seed, *(trial.seed for trial in others)}) == 1
    alone = [train([trial])[0].accuracy for trial in (nominal, others[2])]
    first = results.blocks("accuracy")[0, :, 0]
    assert [first[0], first[3]] == alone
    costs = {(cost["factor"], cost["end"]): cost for cost in told["limits"]["costs"]}
    expected = (results.blocks("accuracy")[:, 0] - results.blocks("accuracy")[:, 3]).mean()
    assert costs["r.d2d.sigma", "high"]["cost"]["value"] == pytest.approx(expected)

    text = said(capsys, "limits", folder, "--n", 9, "--in-process")
    assert len(open_results(folder / "limits").design) == 9 * 4
    for words in ("r.d2d.sigma", "mismatch.global.mean", "points [", "nominal device: accuracy", "9 pairs"):
        assert words in text
    shown = said(capsys, "analyze", folder / "limits")
    assert shown.strip() in text
    assert "p_diverged" in said(capsys, "analyze", folder / "limits", "--metric", "p_diverged")
    with pytest.raises(AnalysisError, match="a limits design gives costs, not sensitivity indices"):
        analyze(results)
    assert "n 8 is less than the 9" in refusal(capsys, "limits", folder, "--n", 8, "--in-process")
    assert "holds a limits study itself" in refusal(capsys, "limits", folder / "limits", "--in-process")
    assert "--method pawn" in refusal(capsys, "analyze", folder / "limits", "--method", "pawn", code=5)


def test_a_limits_study_file_runs_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = limits_study(Study.from_text(STUDY), 8)
    (tmp_path / "limits.toml").write_text(study.text)
    out = tmp_path / "out"
    planned = said(capsys, "plan", tmp_path / "limits.toml", "--no-pilot", "--in-process")
    assert "32 (8 seeds of 4 rows)" in planned
    told = json.loads(said(capsys, "run", tmp_path / "limits.toml", "--in-process", "--json", "--out", out))
    assert told["ok"] == 32
    longer = json.loads(said(capsys, "extend", out, "--to", 9, "--in-process", "--no-report", "--json"))
    assert longer["ok"] == 36
    assert json.loads(said(capsys, "analyze", out, "--json"))["pairs"] == 9


@pytest.mark.slow
def test_interventions_are_added_to_costs_that_are_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was trained for the costs is taken over: equal keys are equal work."""
    first = json.loads(said(capsys, "limits", folder, "--n", 8, "--in-process", "--json"))
    keys = Store.open(folder / "limits").keys()
    study, place, reuse = open_limits(folder, arms="mediation")
    assert study.design.n == 8
    assert [str(one) for one in reuse] == [str(folder / "limits-cost")]
    assert not (folder / "limits").exists()
    assert keys < {trial.key for trial in build_design(study).trials()}
    told = json.loads(said(capsys, "limits", folder, "--mediation", "--in-process", "--json"))
    assert str(place) == str(folder / "limits")
    assert told["ok"] == 8 * (1 + 3 * 5)
    assert told["limits"]["costs"] == first["limits"]["costs"]
    assert {(part["factor"], part["through"]) for part in told["limits"]["mediations"]} == {
        (factor, through) for factor in ("mismatch.global.mean", "r.d2d.sigma") for through in ("mismatch", "speed")
    }
    # Once they are there they stay.
    assert open_limits(folder)[0].design.arms == "mediation"
    assert "through mismatch" in said(capsys, "analyze", folder / "limits")


def test_the_design_is_replaced_wherever_it_stands_in_the_file() -> None:
    study = Study.from_text(STUDY)
    made = limits_study(study, 16)
    assert made.design.plain() == {
        "method": "limits", "n": 16, "replicates": 1, "replicate_rows": 0, "seeds": "common", "arms": "cost"
    }  # fmt: skip
    assert {**made.canonical(), "design": 0} == {**study.canonical(), "design": 0}
    head, tail = STUDY.split("[design]      # of the study itself\nn = 2\nreplicates = 2\n")
    inline = f"design = {{ n = 2 }}\n{head}{tail}"
    dotted = f"design.n = 2\ndesign.replicates = 2\n{head}{tail}"
    for written in (inline, dotted):
        assert limits_study(Study.from_text(written), 16).canonical() == made.canonical()


def test_what_is_in_the_way_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = STUDY.replace("dw_min = 4e-4", "dw_min = 5e-4")
    with Store.create(limits_study(Study.from_text(other), 8), folder / "limits"):
        pass
    assert "holds another study" in refusal(capsys, "limits", folder, "--in-process", code=3)
    shutil.rmtree(folder / "limits")
    with Store.create(limits_study(Study.from_text(STUDY), 8), folder / "limits"):
        pass
    (folder / "limits-cost").mkdir()
    assert "limits-cost is in the way" in refusal(capsys, "limits", folder, "--mediation", "--in-process", code=3)
    # Nothing is trained for what could not be analysed.
    with Store.create(Study.from_text(STUDY), folder / "other"):
        pass
    assert "n = 2 pairs are too few" in refusal(capsys, "limits", folder / "other", "--n", 2, "--in-process")
    assert not (folder / "other" / "limits").exists()
    assert "is no results folder" in refusal(capsys, "limits", folder / "nowhere", "--in-process", code=3)
    (folder / "a study.toml").write_text(STUDY)
    told = refusal(capsys, "limits", folder / "a study.toml", "--in-process", code=3)
    assert f"is a study file: train it first, vcm-sweep run '{folder / 'a study.toml'}', and give the folder" in told
    assert "metric: 'acc' is not one of" in refusal(capsys, "limits", folder, "--metric", "acc", code=5)
    late = refusal(capsys, "limits", folder, "--metric", "accuracy_epoch_99", code=5)
    assert "metric: accuracy_epoch_99 is after the last of" in late
    assert "policy: 'none' is not one of" in refusal(capsys, "limits", folder, "--policy", "none", code=5)
