"""A layer's state as torch.save wrote it can be read: it names public classes alone, wherever their files are."""

import pickletools
import zipfile
from pathlib import Path

import pytest
import torch

import vcm_sweep.device
from vcm_sweep.device import VCMRPUConfig

from . import measured, saved_layer

FILE = measured.HERE / "layer.pt"
PUBLIC = {name: getattr(vcm_sweep.device, name) for name in vcm_sweep.device.__all__}


def test_the_kept_state_names_no_file_of_the_package(tmp_path: Path) -> None:
    assert modules(FILE) == {"vcm_sweep.device"}
    torch.save(saved_layer.new_layer().state_dict(), tmp_path / "new.pt")
    assert modules(tmp_path / "new.pt") == {"vcm_sweep.device"}


def modules(file: Path) -> set[str]:
    """Our modules that a file of torch.save names."""
    with zipfile.ZipFile(file) as parts:
        (pickled,) = (parts.read(name) for name in parts.namelist() if name.endswith("data.pkl"))
    named = (str(value).split(" ")[0] for op, value, _ in pickletools.genops(pickled) if op.name == "GLOBAL")
    return {name for name in named if name.startswith("vcm_sweep")}


@pytest.mark.parametrize("name", [name for name, value in PUBLIC.items() if isinstance(value, type)])
def test_a_public_class_is_pickled_under_its_public_name(name: str) -> None:
    assert PUBLIC[name].__module__ == "vcm_sweep.device"


def test_the_kept_layer_is_the_same_layer() -> None:
    layer = saved_layer.new_layer()
    layer.load_state_dict(torch.load(FILE, weights_only=False))
    assert layer.get_weights()[0].tolist() == measured.read("layer.json")["weights"]
    (tile,) = layer.analog_tiles()
    assert isinstance(tile.rpu_config, VCMRPUConfig)
    assert repr(tuple(tile.rpu_config.device)) == repr(saved_layer.devices())


def test_the_kept_layer_trains_on() -> None:
    """Twice to the same bits."""
    after = []
    for _ in range(2):
        layer = saved_layer.new_layer()
        layer.load_state_dict(torch.load(FILE, weights_only=False))
        saved_layer.train_layer(layer)
        after.append(layer.get_weights()[0])
    assert torch.equal(after[0], after[1])
    assert after[0].tolist() != measured.read("layer.json")["weights"]
