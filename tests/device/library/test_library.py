"""A cell file is read as it is meant or refused in one line; the default is the published table."""

import math
from pathlib import Path

import pytest
import torch

from vcm_sweep.device import CellParameters, DeviceError, cell_names, library_cell, load_cell, rate, temperature

FILE = """
name = "mine"
source = "a measurement"
[validity]
n = [0.01, 10]
[parameters]
r = 30e-9
l = "0.5e-9 m"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_default_is_the_table_of_the_model() -> None:
    cell, table = load_cell("default"), CellParameters()
    for name in CellParameters.names():
        assert getattr(cell, name) == getattr(table, name), name


def test_every_cell_of_the_library_says_where_it_comes_from_and_holds() -> None:
    for name in cell_names():
        cell = library_cell(name)
        assert cell.name == name
        assert len(cell.source) > 20
        assert "voltage_v" in cell.validity


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_the_default_is_valid_where_it_says(model: str) -> None:
    """No state of the window switches faster than about 5 ns or gets hotter than 2000 K, at either end."""
    cell = library_cell("default")
    n = torch.logspace(math.log10(0.06), math.log10(20.0), 100, dtype=torch.float64)
    for voltage in cell.validity["voltage_v"]:
        assert (n / rate(voltage, n, cell.parameters, model).abs()).min().item() > 4.5e-9
        assert temperature(voltage, n, cell.parameters, model).max().item() < 2000


def test_a_users_file_and_what_it_leaves_out(tmp_path: Path) -> None:
    path = written(tmp_path, FILE)
    for given in (path, str(path)):
        cell = load_cell(given)
        assert (cell.r, cell.l, cell.dW_A) == (30e-9, 0.5e-9, 1.35)
    assert library_cell(path).validity == {"n": (0.01, 10)}


def test_a_cell_survives_its_file(tmp_path: Path) -> None:
    cell = library_cell(written(tmp_path, FILE.replace("a measurement", 'of \\"odd\\" \\\\ names\\nand lines')))
    again = library_cell(written(tmp_path, cell.to_toml()))
    assert (again.name, again.source, again.validity) == (cell.name, cell.source, cell.validity)
    for name in CellParameters.names():
        assert getattr(again.parameters, name) == getattr(cell.parameters, name), name


@pytest.mark.parametrize(
    ("change", "into", "words"),
    [
        ("r = 30e-9", "radius = 30e-9", "unknown cell parameter 'radius'"),
        ("r = 30e-9", "r = 30", "r = 30 m must be at least 5e-09 and at most 1e-07 m"),
        ("r = 30e-9", 'r = "30 nm"', "r = '30 nm' must be in m"),
        ("r = 30e-9", 'r = "wide m"', "r = 'wide m' must be a number in m"),
        ("r = 30e-9", "r = true", "must be a finite number in m"),
        ("r = 30e-9", "r = nan", "must be a finite number in m"),
        ("r = 30e-9", f"r = 1{'0' * 400}", "must be a finite number in m"),
        ("r = 30e-9", "l_cell = 0.4e-9", "l_cell = 4e-10 m must be at least 2e-09"),
        ("r = 30e-9", "N_min = 30.0", "N_min = 30 1e26/m3 must be below N_max = 20"),
        ('name = "mine"', 'name = "mine"\nr = 30e-9', "put it under [parameters]"),
        ('name = "mine"', "", "name is missing"),
        ('name = "mine"', 'name = "a/b"', "name = 'a/b' must be letters"),
        ('source = "a measurement"', "source = ''", "must say where the numbers come from"),
        ("n = [0.01, 10]", "n = [10, 0.01]", "must be [lowest, highest] in 1e26/m3"),
        ("n = [0.01, 10]", "n = 10", "must be [lowest, highest] in 1e26/m3"),
        ("n = [0.01, 10]", "volts = [0, 1]", "validity.volts is unknown"),
        ("[validity]", "[validity", "not TOML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, change: str, into: str, words: str) -> None:
    assert change in FILE
    path = written(tmp_path, FILE.replace(change, into))
    with pytest.raises(DeviceError) as raised:
        load_cell(path)
    assert words in str(raised.value)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_cell_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="one of default"):
        load_cell("nominal")
    with pytest.raises(DeviceError, match="cannot be read"):
        load_cell(tmp_path / "none.toml")
