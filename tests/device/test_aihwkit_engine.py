"""aihwkit's pure-torch classes load without its compiled engine, and what is missing is said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from aihwkit.simulator.tiles.analog import AnalogTile

from vcm_sweep.device.aihwkit_engine import engine_fault

from ..engines import without_engine

LOADS = """
import vcm_sweep.device
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.rpu_base import tiles
from vcm_sweep.device.aihwkit_engine import engine_fault
try:
    tiles.AnalogTile(2, 2)
except ImportError as error:
    print(error)
print(engine_fault())
"""


@pytest.mark.parametrize(
    ("broken", "words"), [(False, "aihwkit has no compiled engine for Python"), (True, "does not load with torch")]
)
def test_only_the_use_of_a_missing_engine_is_an_error(broken: bool, words: str, tmp_path: Path) -> None:
    environment = without_engine(tmp_path, broken)
    done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    used, fault = done.stdout.splitlines()
    assert words in used
    assert fault == used


@pytest.mark.engine
def test_an_engine_that_works_has_no_fault_whatever_is_drawn() -> None:
    # aihwkit's default device draws its bounds; in one tile of thirteen one would cut a weight of the check.
    for _ in range(100):
        assert engine_fault.__wrapped__() is None


@pytest.mark.engine
def test_an_engine_built_for_another_torch_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With aihwkit 1.2 and torch 2.11 it raises pages of C++; that weights are lost would be seen too."""

    def fails(*_: object) -> None:
        raise RuntimeError("tensor does not have a device\nframe #22: in libc.so.6")

    monkeypatch.setattr(AnalogTile, "set_weights", fails)
    assert str(engine_fault.__wrapped__()).endswith("(tensor does not have a device)")
    monkeypatch.setattr(AnalogTile, "set_weights", lambda *_: None)
    assert str(engine_fault.__wrapped__()).endswith("(a tile lost its weights)")
