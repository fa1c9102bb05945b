"""What is shown while a command works: a bar on a terminal, lines in a log, also while one step takes long."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from vcm_sweep.cluster.terminal.waiting import bar
from vcm_sweep.device.doing import Doing

BAR = """
from vcm_sweep.cluster.terminal.waiting import bar
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


def test_a_bar_says_where_it_is_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Though nothing calls it: one step may take minutes, and says by ``Doing`` what that is."""
    with bar("fit", first_s=0.05, every_s=0.2) as step:
        step("a first guess")
        with Doing("tables") as told:
            told("round 2")
            time.sleep(0.35)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "fit: a first guess, tables, round 2 (0 s)"
    assert 2 <= len(said) <= 3


def test_a_quick_step_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("fit"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_what_takes_long(tmp_path: Path) -> None:
    from .test_words import on_a_terminal

    code = BAR.replace('"fetch", 3, quiet={quiet}', '"plan"').replace(
        "    for name in", "    time.sleep(0.6)\n    for name in"
    )
    code = f"import time\nfrom vcm_sweep.device.doing import Doing\nDoing('the tables').__enter__()\n{code}"
    assert "the tables" in on_a_terminal([sys.executable, "-c", code], tmp_path / "out", columns=80)
