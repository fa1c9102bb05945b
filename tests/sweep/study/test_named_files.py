"""Files that a study names are looked for beside the study first, then in the working directory."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vcm_sweep.device.library.library import LibraryCell
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.sweep import Store, Study, StudyError
from vcm_sweep.sweep.user_code import load_attribute, search_in

from ...studies import TINY

MODEL = "import torch\ndef net(shape, classes):\n    layer = torch.nn.Linear(64, classes{})\n"
MODEL += "    return torch.nn.Sequential(torch.nn.Flatten(), layer)\n"
CONDITIONS = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[design]
method = "conditions"
baseline = "a"
conditions = "rows.csv"
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """(folder of the study, working directory), neither within the other."""
    beside, here = tmp_path / "beside", tmp_path / "here"
    beside.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("vcm_sweep.sweep.user_code._beside", [])
    monkeypatch.setattr("vcm_sweep.sweep.user_code._searched", [])
    # Without "", by which Python itself looks into the working directory first, as in a notebook.
    monkeypatch.setattr("sys.path", [folder for folder in sys.path if folder])
    return beside, here


def cell(r: float) -> Callable[[Path], None]:
    text = LibraryCell("mine", "made up", CellParameters(r=r)).to_toml()
    return lambda folder: (folder / "mine.toml").write_text(text) and None


def weights(value: float) -> Callable[[Path], None]:
    tensors = {"1.weight": torch.full((8, 64), value), "1.bias": torch.zeros(8)}
    tensors |= {"3.weight": torch.full((10, 8), value), "3.bias": torch.zeros(10)}
    return lambda folder: save_file(tensors, folder / "w.safetensors")


def read(folder: Path, text: str) -> Study:
    (folder / "study.toml").write_text(text)
    return Study.from_toml(folder / "study.toml")


CELL = TINY.replace("[[factor]]", '[device]\ncell = "mine.toml"\n[[factor]]', 1)


def test_a_cell_beside_the_study_comes_before_one_in_the_working_directory(places: tuple[Path, Path]) -> None:
    beside, here = places
    cell(50e-9)(here)
    assert read(beside, CELL).device["r"] == 50e-9
    cell(40e-9)(beside)
    assert read(beside, CELL).device["r"] == 40e-9


def test_results_hold_the_numbers_of_their_cells(places: tuple[Path, Path]) -> None:
    beside, here = places
    cell(40e-9)(beside)
    study = read(beside, CELL.replace("mine.toml", 'mine.toml"\nl = 0.5e-9 # own\n#'))
    Store.create(study, here / "results")
    (beside / "mine.toml").unlink()
    again = Store.open(here / "results").study
    assert (again.digest, again.device["r"], again.device["l"]) == (study.digest, 40e-9, 0.5e-9)
    assert "of the cell mine.toml" in again.text
    assert "# own" in again.text


def test_conditions_keep_what_their_own_cell_and_the_study_say(places: tuple[Path, Path]) -> None:
    beside, _ = places
    cell(40e-9)(beside)
    (beside / "rows.csv").write_text("name,device.cell,device.l\na,,\nb,default,\nc,mine.toml,0.5e-9\n")
    text = CONDITIONS.replace("[design]", '[device]\ncell = "mine.toml"\nT_0 = 300.0\n[design]', 1)
    study = read(beside, text)
    found = [(c.device["r"], c.device["T_0"], c.device["l"]) for c in study.conditions]
    usual = CellParameters()
    assert found == [(40e-9, 300.0, usual.l), (usual.r, 300.0, usual.l), (40e-9, 300.0, 0.5e-9)]
    assert Study.from_text(study.text, study.frozen).digest == study.digest


def test_first_weights_and_modules_beside_the_study_come_first(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = places
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    text = TINY.replace("lr = 0.02", 'lr = 0.02\nstart = "w.safetensors"')
    weights(0.1)(here)
    first = read(beside, text)
    weights(0.2)(beside)
    second = read(beside, text)
    assert first.frozen["start_digest"] != second.frozen["start_digest"]
    assert Path(second.network.start) == beside / "w.safetensors"
    own = text.replace("hidden = [8]", 'model = "a_model_beside:net"').replace('start = "w.safetensors"', "")
    (here / "a_model_beside.py").write_text(MODEL.format(", bias=False"))
    (beside / "a_model_beside.py").write_text(MODEL.format(""))
    read(beside, own)
    assert Path(sys.modules.pop("a_model_beside").__file__ or "").parent == beside
    # As in a notebook, where the current folder comes before all others.
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    with pytest.raises(StudyError, match=f"the module a_model_beside of this process is that of {here}, and {beside}"):
        read(beside, own)
    sys.modules.pop("a_model_beside")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (CELL, "[device] cell = 'mine.toml'"),
        (TINY.replace("lr = 0.02", 'lr = 0.02\nstart = "w.safetensors"'), "[network] start = 'w.safetensors'"),
        (CONDITIONS, "[design] conditions = 'rows.csv'"),
        (TINY.replace("hidden = [8]", 'model = "no_such_model:net"'), "[network] model = 'no_such_model:net'"),
    ],
)
def test_what_is_in_neither_place_is_one_line_with_both(places: tuple[Path, Path], text: str, field: str) -> None:
    beside, here = places
    with pytest.raises(StudyError) as caught:
        read(beside, text)
    line = str(caught.value)
    assert "\n" not in line
    assert all(words in line for words in (field, str(beside), str(here), "beside the study"))


def test_a_worker_that_has_read_no_study_file_takes_what_is_there(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, here = places
    (here / "a_module_of_workers.py").write_text("x = 1")
    monkeypatch.setattr("vcm_sweep.sweep.user_code._beside", [])
    assert load_attribute("a_module_of_workers:x", "[network] model") == 1


def test_a_relative_folder_is_that_of_the_time_it_was_named(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = places
    search_in(["."])
    monkeypatch.chdir(beside)
    assert sys.path[-1] == str(here)
    search_in(["../here"])
    assert sys.path.count(str(here)) == 1


def test_two_studies_whose_modules_have_one_name_are_not_mixed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: tuple[Path, Path]
) -> None:
    """In one process the second would train the first one's network."""
    own = TINY.replace("hidden = [8]", 'model = "two_of_a_name:net"')
    for folder, change in zip(places, ("", ", bias=False"), strict=True):
        (folder / "two_of_a_name.py").write_text(MODEL.format(change))
    monkeypatch.chdir(tmp_path)
    first, second = places
    try:
        digest = read(first, own).frozen["model_digest"]
        with pytest.raises(StudyError, match=r"two_of_a_name of this process is that of .*beside, and .*here has"):
            read(second, own)
        assert read(first, own).frozen["model_digest"] == digest
    finally:
        sys.modules.pop("two_of_a_name", None)
    assert read(second, own).frozen["model_digest"] != digest
    sys.modules.pop("two_of_a_name", None)
