"""`vcm-sweep new` writes studies that can be trained as they are."""

import builtins
import io
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.commands.writing import DATA, TEMPLATES
from vcm_sweep.sweep import Study, build_design


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_written_can_be_trained(template: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "--name", "mine", "--data", data, "--template", template, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "mine.toml"
    study = Study.from_toml("mine.toml")
    study.check()
    assert (study.name, study.network.data, len(study.factors)) == ("mine", data, 3)
    assert len(build_design(study)) >= 64


def test_without_a_terminal_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new"]) == 0
    assert capsys.readouterr().out == "mine.toml is written; next: vcm-sweep plan mine.toml\n"
    assert Study.from_toml("mine.toml").design.method == "space"


def test_a_person_is_asked_three_questions_until_the_answers_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken.toml").write_text("mine")
    answers = iter(["-rf", "my chip", "taken", "chip", "cifar", "mnist", ""])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(builtins, "input", lambda _: next(answers))
    assert main(["new"]) == 0
    told = capsys.readouterr().err
    assert told.count("letters, digits, '-' and '_'") == 2
    assert "taken.toml is there already: name another file" in told
    study = Study.from_toml("chip.toml")
    assert (study.network.data, study.design.method) == ("mnist", "space")
    assert list(answers) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["taken.toml"], "taken.toml is there already: name another file"),
        (["nowhere/x.toml"], "nowhere/x.toml cannot be written (No such file or directory)"),
        (["x.toml", "--name", "-rf"], "letters, digits, '-' and '_'"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken.toml").write_text("mine")
    if arguments[-1] == "-rf":
        arguments = [arguments[0], "--name=-rf"]
    assert main(["new", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert Path("taken.toml").read_text() == "mine"
    assert not Path("x.toml").exists()


def test_what_is_wrong_is_said_before_any_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken.toml").write_text("mine")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(builtins, "input", lambda _: pytest.fail("a question"))
    for wrong in (["taken.toml"], ["--name=my chip"], ["--name=taken"]):
        assert main(["new", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_a_command_with_a_blank_in_a_name_is_one_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "my chip.toml", "--name", "chip"]) == 0
    command = capsys.readouterr().out.partition("next: ")[2]
    assert shlex.split(command) == ["vcm-sweep", "plan", "my chip.toml"]
    assert "Then: vcm-sweep run 'my chip.toml'." in Path("my chip.toml").read_text()
