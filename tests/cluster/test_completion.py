"""`vcm-sweep completion`: bash itself completes words by the script that is printed."""

import subprocess
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main

# What bash does when the tab key is pressed after the last word.
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
read -r _ _ _ _ function _ <<< "$(complete -p vcm-sweep)"
"$function" vcm-sweep "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["an"], ["analyze"]),
        (["device", "f"], ["fit"]),
        (["run", "--in-p"], ["--in-process"]),
        (["run", "--device", "c"], ["cpu", "cuda"]),
        (["new", "--template", "s"], ["screen"]),
        (["plan", "st"], ["stack.toml", "study.toml"]),
        (["analyze", "ru"], ["runs"]),
        (["run", "study.toml", "--out", "ru"], ["runs"]),
    ],
)
def test_bash_completes(
    words: list[str], offered: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "script").write_text(script("bash", capsys))
    for name in ("study.toml", "stack.toml"):
        (tmp_path / name).touch()
    (tmp_path / "runs").mkdir()
    asked = ["bash", "--norc", "-c", ASK, "bash", "./script", "vcm-sweep", *words]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(word.rstrip("/ ") for word in done.stdout.split("\n") if word) == offered, done.stderr


@pytest.mark.parametrize(("shell", "begin"), [("zsh", "#compdef vcm-sweep"), ("fish", "complete -c vcm-sweep")])
def test_other_shells_get_scripts_of_theirs(shell: str, begin: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert begin in text
    assert "tolerance" in text
