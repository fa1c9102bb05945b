"""A study of conditions goes through the commands: planned, run, grown; what is not for it is refused in one line."""

import json
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main

TEXT = """
[study]
name = "tiny"
[network]
hidden = [4]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
train_samples = 64
test_samples = 50
[device]
model = "explicit"
[design]
method = "conditions"
baseline = "plain"
replicates = 2
[run]
pack = 4
[[condition]]
name = "plain"
[[condition]]
name = "wide"
network.hidden = [8]
[[condition]]
name = "fast"
network.lr = 0.04
"""


def test_a_study_of_conditions_is_planned_run_and_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "tiny.toml"
    study.write_text(TEXT, encoding="utf-8")

    def said(*command: str, code: int = 0) -> str:
        assert main(list(command)) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    values = json.loads(said("plan", "tiny.toml", "--no-pilot", "--json"))
    assert (values["points"], values["trials"], values["packs_of_their_own"]) == (3, 6, ["wide"])
    assert "wide: cannot be stacked with plain" in said("plan", "tiny.toml", "--no-pilot")
    shown = json.loads(said("run", "tiny.toml", "--in-process", "--json"))
    folder = shown["folder"]
    assert shown["ok"] == 6
    assert Path(shown["report"]).is_file()
    assert shown["or"] == f"vcm-sweep extend {folder} --replicates 4 (twice the trainings)"
    grown = json.loads(said("extend", folder, "--replicates", "3", "--no-run", "--json"))
    assert (grown["replicates"], grown["trials_added"]) == ("2 -> 3", 3)
    assert json.loads(said("resume", folder, "--in-process", "--json"))["ok"] == 9
    assert "--to 8 is not for conditions, which are counted" in said("extend", folder, "--to", "8", code=2)
    assert "is a study of conditions, and limits are ends of factors' ranges" in said("limits", folder, code=2)
    assert "[tolerance] is of factors, and a study of conditions has none" in said("tolerance", "tiny.toml", code=2)
    assert "a study of conditions has no factors" in said("ask", folder, code=5)
    assert "--until is for designs that rank factors" in said("run", "tiny.toml", "--until", "0.05", code=2)


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    "slip",
    [
        ("network.train_samples = 5000", "[network] train_samples = 5000"),
        ("network.hidden = [100000, 100000]", "[network] hidden = [100000, 100000] makes"),
        ("device.pulse_s = 1e-12", "nothing can be trained"),
    ],
)
def test_a_condition_that_cannot_be_trained_is_refused_before_any_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    slip: tuple[str, str],
) -> None:
    row, words = slip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TEXT.replace("network.lr = 0.04", row), encoding="utf-8")
    assert main([command, "tiny.toml", "--in-process"]) == 2
    said = capsys.readouterr().err
    assert "condition 'fast': " in said
    assert words in said
    assert not (tmp_path / "runs").exists()
