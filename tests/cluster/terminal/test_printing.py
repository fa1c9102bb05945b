"""What is printed: whole lines of plain text in a pipe, tables that fit on a terminal."""

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.terminal.printing import aligned, prose, show

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
