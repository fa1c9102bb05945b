"""Where a training starts: from a user's weights, known by their content, or drawn ones; on the trial's own cells."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from vcm_sweep.sweep import SobolDesign, Study, StudyError, Trial, train
from vcm_sweep.sweep.networks.presets import build_network
from vcm_sweep.sweep.training.build_stack import build_stack

TEXT = """
[study]
name = "tiny"
[network]
data = "digits"
hidden = [16]
batch = 32
lr = 0.02
epochs = 1
train_samples = 64
test_samples = 50
{network}
[device]
{device}
[[factor]]
name = "{factor}"
range = [0.0, 0.3]
[[factor]]
name = "network.lr"
range = [0.01, 0.05]
[design]
n = 4
"""
MAPPED = "[device.mapping]\nmax_input_size = 16\nmax_output_size = 8\n"


def trials(network: str = "", device: str = "", factor: str = "mismatch.d2d.sigma") -> list[Trial]:
    return list(SobolDesign(Study.from_text(TEXT.format(network=network, device=device, factor=factor))).trials())


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: t.clone() for name, t in build_network({"hidden": [16]}, (1, 8, 8), 10).state_dict().items()}


def layers(trial: Trial) -> list[torch.Tensor]:
    """(out, in) of every layer, as a training finds them."""
    stack: Any = build_stack([trial], trial.inputs["network"], (1, 8, 8), 10)
    network = stack.networks[0] if hasattr(stack, "networks") else stack.network
    return [layer.get_weights()[0].reshape(layer.out_features, -1) for layer in network.analog_layers()]


def test_weights_are_known_by_their_content_and_not_by_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for place in ("start.safetensors", "elsewhere/moved.safetensors"):
        save_file(weights(), tmp_path / place)
    monkeypatch.chdir(tmp_path)
    relative, moved = trials('start = "start.safetensors"')[0], trials('start = "elsewhere/moved.safetensors"')[0]
    assert relative.key == moved.key
    # A worker runs in another folder.
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert train([relative])[0].status == "ok"
    monkeypatch.chdir(tmp_path)
    save_file(weights(1), tmp_path / "start.safetensors")
    assert trials('start = "start.safetensors"')[0].key != relative.key


def test_a_worker_that_finds_other_weights_says_so(tmp_path: Path) -> None:
    file = tmp_path / "start.safetensors"
    save_file(weights(), file)
    trial = trials(f'start = "{file}"')[0]
    save_file(weights(1), file)
    with pytest.raises(StudyError, match=r"\[network\] start = .*start.safetensors' has other content") as caught:
        train([trial])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_when_the_study_is_read(tmp_path: Path, value: float) -> None:
    given = weights()
    given["1.weight"][3, 4] = value
    save_file(given, tmp_path / "start.safetensors")
    with pytest.raises(StudyError, match=r"\[network\] start = .*: 1.weight has values that are not finite"):
        trials(f'start = "{tmp_path / "start.safetensors"}"')


@pytest.mark.parametrize("device", ["", MAPPED], ids=["one tile", "mapped"])
def test_every_cell_is_given_the_weight_of_the_file(tmp_path: Path, device: str) -> None:
    """Cells that were drawn for the conversion reach less than others, and must not stand between."""
    given = weights()
    given["1.weight"].mul_(12).clamp_(-1.4, 1.4)  # within the nominal window
    save_file(given, tmp_path / "start.safetensors")
    device = "N_max = 1.3\n[device.d2d.N_max]\nclip = 0.9\n" + device
    found = []
    for seed in range(2):
        trial = trials(f'start = "{tmp_path / "start.safetensors"}"', device, "N_max.d2d.sigma")[2]
        torch.manual_seed(seed)
        found.append(layers(trial)[0])
    assert torch.equal(*found)
    wanted = given["1.weight"]
    assert (found[0] - wanted).max() < 1e-5  # a cell falls short, never beyond
    assert 0.02 < (found[0] < wanted - 1e-3).double().mean() < 0.3


@pytest.mark.parametrize("aihwkit", [False, pytest.param(True, marks=pytest.mark.engine)], ids=["cells", "aihwkit"])
def test_fan_in_is_of_the_layer_and_not_of_its_tiles(aihwkit: bool) -> None:
    device, factor = ("aihwkit = 'ConstantStepDevice'\n", "aihwkit.dw_min_std") if aihwkit else ("", "read.noise.sigma")
    first, second = layers(trials("init = 'fan_in'", device + MAPPED, factor)[0])
    assert 0.9 * 64**-0.5 < first.abs().max() <= 64**-0.5 + 1e-6
    assert 0.9 * 16**-0.5 < second.abs().max() <= 16**-0.5 + 1e-6


@pytest.mark.engine
def test_the_tiles_of_a_mapped_layer_of_aihwkits_have_cells_of_their_own() -> None:
    drawn = []
    for trial in trials(device="aihwkit = 'ConstantStepDevice'\n" + MAPPED, factor="aihwkit.dw_min_std")[:2]:
        stack: Any = build_stack([trial], trial.inputs["network"], (1, 8, 8), 10)
        tiles = list(stack.networks[0].analog_tiles())
        assert len(tiles) == 4 * 2 + 1 * 2
        drawn += [tile.get_hidden_parameters()["max_bound"][:5, :16] for tile in tiles]
    for i, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[:i])
