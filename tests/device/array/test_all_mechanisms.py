"""Everything on at once: stacked trials, slow noise of the tile's reads, restored states, states outside the model."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.device import (
    ArraySeeds,
    CellParameters,
    DeviceError,
    Mismatch,
    PulseError,
    ReadNoise,
    Spread,
    StuckCells,
    TargetWalk,
    TelegraphNoise,
    Variability,
    VCMDevice,
    VCMRPUConfig,
    Walk,
    Window,
    WriteError,
)
from vcm_sweep.device.array.cell_arrays import CellArrays

from ..arrays import array, fire

ALL = Variability(
    d2d={"r": Spread(0.05, 0.1), "N_max": Spread(0.1, 0.2), "nu_0": Spread(0.2, 0.5)},
    c2c={"r": Walk(0.01, 0.1, 0.05), "N_min": Walk(0.1, 0.0, 0.2)},
    targets={"l": TargetWalk(0.1, 0.2, "polarity")},
    mismatch=Mismatch(0.1, 0.2),
    window=Window(Spread(0.05, 0.1), Spread(0.05, 0.1)),
    read_noise=ReadNoise(0.01, 0.02, 2),
    telegraph=TelegraphNoise(0.1, 0.5, 0.2, 0.5),
    write=WriteError(0.01),
    stuck=StuckCells(0.05, 0.05),
    pulse=PulseError(0.01, 0.05),
)
DIRECT = Variability(d2d={name: Spread(0.02, 0.05) for name in ("r", "l", "dW_A", "R_TiOx", "nu_0")})
DEVICES = (
    VCMDevice(model="full"),
    VCMDevice(variability=ALL, model="full"),
    VCMDevice(variability=DIRECT, model="full"),
    VCMDevice(variability=ALL),
)
SEEDS = tuple(ArraySeeds(7 + k, 70 + k, 700 + k) for k in range(4))
PERFECT = IOParameters(is_perfect=True)


def _layer(devices, seeds, stacked=True):
    torch.manual_seed(0)
    config = VCMRPUConfig(device=devices if stacked else devices[0], trials=len(devices) if stacked else None)
    config.forward = config.backward = PERFECT
    tile = AnalogLinear(6, 5, bias=False, rpu_config=config).analog_module.tile
    tile.reseed(seeds, 3)
    weight = torch.linspace(-0.8, 0.8, 30).view(5, 6)
    tile.set_weights(weight.expand(len(devices), -1, -1) if stacked else weight)
    tile.set_learning_rate(0.1)
    return tile


def _train(tile, steps, first=0):
    """Everything that the tile read, stacked: (steps, trials, ...)."""
    reads, trials = [], tile.cells.trials
    for k in range(first, first + steps):
        random = torch.Generator().manual_seed(k)
        x, d = torch.rand(4, 6, generator=random) - 0.3, 0.2 * torch.randn(4, 5, generator=random)
        x, d = (values.expand(trials, -1, -1) if tile.stacked else values for values in (x, d))
        reads.append((tile.forward(x).reshape(trials, -1), tile.backward(d).reshape(trials, -1)))
        tile.update(x, d)
    return [torch.cat(parts, -1) for parts in reads]


@pytest.mark.parametrize("k", range(4))
def test_a_stacked_trial_is_the_trial_alone_bit_for_bit_with_everything_on(k):
    together, alone = _layer(DEVICES, SEEDS), _layer(DEVICES[k : k + 1], SEEDS[k : k + 1])
    for one, other in zip(_train(together, 5), _train(alone, 5), strict=True):
        assert torch.equal(one[k], other[0])
    assert alone.cells.counters[0, :2].min() > 50
    a, b = together.cells.state(k), alone.cells.state(0)
    assert a.keys() == b.keys()
    for name, values in b.items():
        assert torch.equal(a[name].expand_as(values), values), name


@pytest.mark.parametrize("how", ["state", "state_dict", "deepcopy"])
def test_a_restored_tile_goes_on_bit_for_bit_with_everything_on(how):
    straight = _layer(DEVICES[1:], SEEDS[1:])
    _train(straight, 3)
    if how == "deepcopy":
        resumed = copy.deepcopy(straight)
    elif how == "state":
        resumed = _layer(DEVICES[1:], SEEDS[1:])
        for k in range(3):
            resumed.cells.load_state(k, straight.cells.state(k))
        resumed.calls = list(straight.calls)
    else:
        file = io.BytesIO()
        torch.save((straight.dump_extra(), straight.cells.state_dict()), file)
        file.seek(0)
        resumed = _layer(DEVICES[1:], tuple(ArraySeeds(9 + k, 9, 9) for k in range(3)))
        resumed.load_extra(torch.load(file, weights_only=False)[0])
    for tile in (straight, resumed):
        tile.set_learning_rate(0.1)
    for one, other in zip(_train(straight, 3, first=3), _train(resumed, 3, first=3), strict=True):
        assert torch.equal(one, other)
    for tile in (straight, resumed):
        tile.set_weights(torch.zeros(3, 5, 6))
    assert torch.equal(straight.cells.weight, resumed.cells.weight), "write errors go on too"


def _reader(variability, size=40, **device):
    config = VCMRPUConfig(device=VCMDevice(variability=variability, **device), forward=PERFECT, backward=PERFECT)
    torch.manual_seed(1)
    tile = AnalogLinear(size, size, bias=False, rpu_config=config).analog_module.tile
    tile.set_weights(torch.full((size, size), 0.5))
    return tile, tile.cells.devices[0].map.line[0]


def _read(tile):
    return tile.forward(torch.eye(tile.get_x_size())).T.double()


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_telegraph_noise_of_the_tiles_reads(model):
    """Two levels 10 % of the current apart, half of the cells on each; a trap flips in a fifth of the forwards."""
    tile, dark = _reader(Variability(telegraph=TelegraphNoise(0.1, 1.0, 0.2)), model=model)
    cells = 1600
    first, second = _read(tile), _read(tile)
    step = 0.05 * (0.5 - dark)
    for seen in (first, second):
        np.testing.assert_allclose((seen - 0.5).abs(), step, rtol=1e-4)
        assert abs((seen - 0.5).mean().item()) < 5 * step / math.sqrt(cells)
    flipped = ((first - 0.5) * (second - 0.5) < 0).double().mean().item()
    assert flipped == pytest.approx(0.2, abs=5 * math.sqrt(0.16 / cells))
    torch.testing.assert_close(tile.get_weights(), torch.full((40, 40), 0.5), rtol=0, atol=1e-5)


def test_flicker_noise_of_the_tiles_reads():
    tile, dark = _reader(Variability(read_noise=ReadNoise(flicker=0.04, decades=2)))
    first, second = _read(tile) - 0.5, _read(tile) - 0.5
    sd = 0.04 * (0.5 - dark)
    for seen in (first, second):
        assert seen.std().item() == pytest.approx(sd, rel=5 / math.sqrt(2 * 1600))
        assert abs(seen.mean().item()) < 5 * sd / 40
    memory = 0.5 * (math.exp(-1) + math.exp(-0.1))
    found = np.corrcoef(first.flatten(), second.flatten())[0, 1]
    assert found == pytest.approx(memory, abs=5 * (1 - memory**2) / 40)


def test_errors_are_read_with_the_state_of_the_forward_pass():
    tile, _ = _reader(Variability(telegraph=TelegraphNoise(0.1), read_noise=ReadNoise(flicker=0.05)))
    for _ in range(2):
        forward = _read(tile)
        backward = tile.backward(torch.eye(40)).double()
        torch.testing.assert_close(backward, forward, rtol=0, atol=1e-6)


BROKEN = {
    "method": "direct", "set_voltage_v": -1.5, "parameters": CellParameters(mu_n=1e-6, r=6e-9),
}  # fmt: skip


def test_pulses_outside_the_model_are_counted_and_move_nothing():
    cells = array(**BROKEN)
    before = cells.log_n.clone()
    fire(cells, 1, 3)
    assert torch.equal(cells.log_n, before)
    assert cells.counters[0].tolist() == [0, 0, 0, 60, 60]
    assert torch.isfinite(cells.weight).all()


def test_pulses_outside_the_model_raise_where_that_is_asked_for():
    cells = array(**BROKEN, on_invalid="error")
    with pytest.raises(DeviceError, match=r"20 pulses .*gamma.*set_voltage_v") as caught:
        fire(cells, 1)
    assert "\n" not in str(caught.value)


def test_a_neighbour_outside_the_model_changes_nothing():
    devices = VCMDevice(**BROKEN), VCMDevice(method="direct")
    both = CellArrays(devices, 4, 5, SEEDS[:2], 0)
    alone = CellArrays(devices[1:], 4, 5, SEEDS[1:2], 0)
    x, d = torch.ones(1, 1, 5), -torch.ones(1, 1, 4)
    both.pulse(x.expand(2, -1, -1), d.expand(2, -1, -1), [1e3] * 2, [UpdateParameters()] * 2, [5, 6], 0)
    alone.pulse(x, d, [1e3], [UpdateParameters()], [6], 0)
    assert torch.equal(both.log_n[1], alone.log_n[0])
    assert both.counters[1, 0] == 31 * 20
