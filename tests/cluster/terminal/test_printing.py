"""What is printed: whole lines of plain text in a pipe, tables that fit on a terminal."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.terminal import printing
from vcm_sweep.cluster.terminal.printing import aligned, bar, prose, show

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROWS = [
    ("factor", "interval", "verdict"),
    ("mismatch.global.mean", "[0.123, 0.456]", "above r.d2d.sigma and all others"),
    ("r.d2d.sigma", "[bold]", "open"),
]


class Terminal(io.StringIO):
    """A standard output that a person looks at."""

    def isatty(self) -> bool:
        return True


def on_a_screen(monkeypatch: pytest.MonkeyPatch, columns: int, work: Callable[[], object]) -> list[str]:
    """The lines that a person sees, without their colours and the spaces at their ends."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stdout(Terminal()) as screen:
        work()
    return [CODES.sub("", line).rstrip() for line in screen.getvalue().splitlines()]


def test_in_a_pipe_no_line_is_broken_or_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    lines = aligned(ROWS).splitlines()
    assert lines[1] == "mismatch.global.mean  [0.123, 0.456]  above r.d2d.sigma and all others"
    # What looks like markup is text.
    assert lines[2] == "r.d2d.sigma           [bold]          open"
    assert prose("word " * 40) == "word " * 40


def test_a_terminal_folds_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_a_screen(monkeypatch, 60, lambda: print(aligned(ROWS))) == [
        "factor                interval        verdict",
        "mismatch.global.mean  [0.123, 0.456]  above r.d2d.sigma and",
        "                                      all others",
        "r.d2d.sigma           [bold]          open",
    ]
    assert max(map(len, on_a_screen(monkeypatch, 60, lambda: print(prose("word " * 40))))) <= 60
    # Where not even the words fit, the lines stay whole: the terminal wraps them.
    assert on_a_screen(monkeypatch, 30, lambda: print(aligned(ROWS)))[1] == "  ".join(ROWS[1])


def test_tables_fit_a_terminal_and_break_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = on_a_screen(monkeypatch, 80, lambda: main(["device", "show", "default"]))
    factors = on_a_screen(monkeypatch, 80, lambda: main(["plan", "--factors"]))
    assert max(map(len, cell + factors)) <= 80
    assert any(re.match(r"R_theff_scaling\.global\.mean  0\.1 \.\. 1 +-", line) for line in factors)


def test_values_are_whole_wherever_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "vcm-sweep resume s3://bucket/" + "long/" * 20
    values = {"go_on": command, "from runs/my_study": 3}
    lines = [f"go on               {command}", "from runs/my_study  3"]
    assert on_a_screen(monkeypatch, 80, lambda: show(values, as_json=False)) == lines
    assert json.loads(on_a_screen(monkeypatch, 80, lambda: show(values, as_json=True))[0]) == values


def test_factors_are_listed_by_the_names_that_a_study_takes(capsys: pytest.CaptureFixture[str]) -> None:
    from vcm_sweep.sweep.study.catalogue import CATALOGUE

    assert main(["plan", "--factors"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines()[1:]] == list(CATALOGUE)


BAR = """
from vcm_sweep.cluster.terminal.printing import bar
with bar("fetch", 3, quiet={quiet}) as step:
    for name in "abc":
        step(name)
print("the result")
"""


def test_a_bar_is_seen_on_a_terminal_alone(tmp_path: Path) -> None:
    from .test_words import on_a_terminal

    shown = on_a_terminal([sys.executable, "-c", BAR.format(quiet=False)], tmp_path / "out", columns=80)
    assert (tmp_path / "out").read_text() == "the result\n"
    assert "3/3" in shown
    assert on_a_terminal([sys.executable, "-c", BAR.format(quiet=True)], tmp_path / "out", columns=80) == ""
    piped = subprocess.run([sys.executable, "-c", BAR.format(quiet=False)], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("the result\n", "")


def test_a_bar_lets_errors_through() -> None:
    with pytest.raises(ZeroDivisionError), bar("fetch"):
        _ = 1 / 0


def test_a_bar_says_where_it_is_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two seconds, and then every twenty."""
    seconds = iter([0.0, 1.0, 2.5, 10.0, 23.0])
    monkeypatch.setattr(printing, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with bar("fit") as step:
        for word in "abcd":
            step(word)
    assert capsys.readouterr().err == "fit: b (2 s)\nfit: d (23 s)\n"
