"""Layers beyond the plain one: convolutions, mapped layers, converted models, other pulse types, learning rates."""

import copy
import io

import pytest
import torch
from aihwkit.exceptions import ConfigError, TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import nn

from vcm_sweep.device import (
    ArraySeeds,
    Mismatch,
    NetworkSeeds,
    Spread,
    TrialSGD,
    Variability,
    VCMDevice,
    VCMRPUConfig,
    Walk,
)

PERFECT = IOParameters(is_perfect=True)
NOISY = Variability(d2d={"r": Spread(0.1, 0.2)}, c2c={"r": Walk(0.01)}, read_noise=0.02, mismatch=Mismatch(0.1))
DEVICES = (VCMDevice(), VCMDevice(variability=NOISY), VCMDevice(dw_min=3e-4))
SEEDS = tuple(ArraySeeds(7 + k, 70 + k, 700 + k) for k in range(3))


def perfect(**settings):
    return VCMRPUConfig(forward=PERFECT, backward=PERFECT, **settings)


def lenet():
    """A small LeNet in plain torch, to be converted."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(24, 10), nn.LogSoftmax(1),
    )  # fmt: skip


def converted(devices, seeds, stacked, mapping=None):
    torch.manual_seed(1)
    config = VCMRPUConfig(device=devices if stacked else devices[0], trials=len(devices) if stacked else None)
    config.mapping = mapping or config.mapping
    net = convert_to_analog(lenet(), config)
    weights = torch.Generator().manual_seed(2)
    for index, tile in enumerate(net.analog_tiles()):
        tile.tile.reseed(seeds, index)
        weight = 0.5 * torch.randn(tile.out_size, tile.in_size, generator=weights)
        tile.tile.set_weights(weight.expand(len(devices), -1, -1))
    return net


def steps(net, optimizer, trials, count=3, batch=6):
    data = torch.Generator().manual_seed(3)
    for _ in range(count):
        x = torch.rand(batch, 1, 8, 8, generator=data)
        target = torch.randint(10, (batch,), generator=data)
        optimizer.zero_grad()
        out = net(x.repeat(trials, 1, 1, 1))
        (nn.functional.nll_loss(out, target.repeat(trials), reduction="sum") / batch).backward()
        optimizer.step()


@pytest.mark.parametrize("mapping", [None, MappingParameter(max_input_size=10, max_output_size=4)])
def test_seeds_in_the_configuration_make_the_same_arrays_at_once(mapping):
    reseeded = converted(DEVICES, SEEDS, True, mapping)
    config = VCMRPUConfig(device=DEVICES, trials=3, seeds=NetworkSeeds(SEEDS))
    config.mapping = mapping or config.mapping
    torch.manual_seed(1)
    at_once = convert_to_analog(lenet(), config)
    tiles = list(zip(at_once.analog_tiles(), reseeded.analog_tiles(), strict=True))
    assert [tile.tile.index for tile, _ in tiles] == list(range(len(tiles)))
    for one, other in tiles:
        for (name, made), redrawn in zip(one.tile.cells.named_buffers(), other.tile.cells.buffers(), strict=True):
            if name not in ("log_n", "weight", "writes"):
                assert torch.equal(made, redrawn), name
    copied = copy.deepcopy(at_once)
    assert [tile.tile.index for tile in copied.analog_tiles()] == list(range(len(tiles)))
    assert all(torch.equal(a, b) for k in range(3) for a, b in zip(cells(copied, k), cells(at_once, k), strict=True))


def test_seeds_in_the_configuration_are_one_per_trial():
    with pytest.raises(ConfigError, match="seeds has 3 entries for 2 trials: give one per trial"):
        AnalogLinear(3, 2, rpu_config=VCMRPUConfig(trials=2, seeds=NetworkSeeds(SEEDS)))


def sgd(net, lr=0.05):
    optimizer = AnalogSGD(net.parameters(), lr=lr)
    optimizer.regroup_param_groups(net)
    return optimizer


def cells(net, k):
    return [tile.tile.cells.log_n[k].clone() for tile in net.analog_tiles()]


@pytest.mark.parametrize("mapping", [None, MappingParameter(max_input_size=10, max_output_size=4)])
def test_a_stacked_convolutional_network_is_its_trials_alone_bit_for_bit(mapping):
    together = converted(DEVICES, SEEDS, True, mapping)
    steps(together, sgd(together), 3)
    for k in range(3):
        # A stack of one: aihwkit's plain array of tiles sums the gradient of its bias in another order.
        alone = converted(DEVICES[k : k + 1], SEEDS[k : k + 1], True, mapping)
        start = cells(alone, 0)
        steps(alone, sgd(alone), 1)
        assert not torch.equal(start[0], cells(alone, 0)[0])
        for one, other in zip(cells(together, k), cells(alone, 0), strict=True):
            assert torch.equal(one, other)


def test_a_perfect_convolution_is_torchs():
    torch.manual_seed(0)
    digital = nn.Conv2d(3, 5, 3, stride=2, padding=1, dilation=1)
    analog = AnalogConv2d.from_digital(digital, perfect(trials=2))
    x = torch.randn(8, 3, 9, 9)
    torch.testing.assert_close(analog(x), digital(x), atol=2e-5, rtol=1e-4)


def test_gradients_through_a_perfect_stack_are_torchs():
    torch.manual_seed(0)
    digital = lenet()
    analog = convert_to_analog(lenet(), perfect(trials=2))
    for layer, plain in zip(analog, digital, strict=True):
        if hasattr(plain, "weight"):
            layer.set_weights(plain.weight.detach(), plain.bias.detach())
    x = torch.rand(4, 1, 8, 8)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    digital(one)[:, 3].sum().backward()
    analog(torch.cat([two, two]))[:4, 3].sum().backward()
    torch.testing.assert_close(one.grad, two.grad, atol=1e-5, rtol=1e-3)


def test_a_mapped_layer_is_several_tiles_and_the_same_product():
    torch.manual_seed(0)
    weight, bias = 0.3 * torch.randn(7, 11), torch.randn(7)
    small = MappingParameter(max_input_size=4, max_output_size=3)
    for trials in (None, 2):
        layer = AnalogLinear(11, 7, rpu_config=perfect(trials=trials, mapping=small))
        assert len(list(layer.analog_tiles())) == 9
        layer.set_weights(weight, bias)
        x = torch.randn(trials or 1, 5, 11)
        expected = x @ weight.T + bias
        got = layer(x) if trials else layer(x[0])[None]
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)
        read = layer.get_weights()[0]
        torch.testing.assert_close(read if trials is None else read[1], weight, atol=1e-5, rtol=1e-4)


def test_state_dict_carries_a_converted_network_across_a_restart():
    first = converted(DEVICES[1:2], SEEDS[1:2], False)
    optimizer = sgd(first)
    steps(first, optimizer, 1, 2)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    steps(first, optimizer, 1, 2)
    file.seek(0)
    second = converted(DEVICES[1:2], SEEDS[:1], False)
    second.load_state_dict(torch.load(file, weights_only=False))
    steps(second, sgd(second), 1, 2)
    for one, other in zip(cells(first, 0), cells(second, 0), strict=True):
        assert torch.equal(one, other)


def test_learning_rates_per_layer_reach_the_tiles():
    net = AnalogSequential(AnalogLinear(4, 3, rpu_config=VCMRPUConfig()), AnalogLinear(3, 2, rpu_config=VCMRPUConfig()))
    groups = [{"params": list(net[0].parameters()), "lr": 0.3}, {"params": list(net[1].parameters()), "lr": 0.01}]
    optimizer = AnalogSGD(groups, lr=0.1)
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert [layer.analog_module.tile.get_learning_rate() for layer in net] == [0.3, 0.01]


def test_a_trial_trains_at_its_own_learning_rate_and_a_frozen_one_not_at_all():
    together = converted(DEVICES, SEEDS, True)
    optimizer = TrialSGD(together, 0.1, [1.0, 0.5, 0.0])
    start, biases = cells(together, 2), [p[2].clone() for n, p in together.named_parameters() if n.endswith("bias")]
    steps(together, optimizer, 3)
    assert all(torch.equal(a, b) for a, b in zip(start, cells(together, 2), strict=True))
    after = [p[2] for n, p in together.named_parameters() if n.endswith("bias")]
    assert len(biases) == 3
    assert all(torch.equal(a, b) for a, b in zip(biases, after, strict=True))
    half = converted(DEVICES[1:2], SEEDS[1:2], False)
    steps(half, sgd(half, 0.05), 1)
    for one, other in zip(cells(together, 1), cells(half, 0), strict=True):
        assert torch.equal(one, other)


def test_a_trial_that_is_not_finite_leaves_its_neighbours_alone():
    clean, broken = converted(DEVICES, SEEDS, True), converted(DEVICES, SEEDS, True)
    for name, parameter in broken.named_parameters():
        if name.endswith("bias"):
            parameter.data[0] = float("nan")
    steps(clean, sgd(clean), 3)
    steps(broken, sgd(broken), 3)
    for k in (1, 2):
        for one, other in zip(cells(clean, k), cells(broken, k), strict=True):
            assert torch.equal(one, other)
    assert all(torch.isfinite(log_n).all() for log_n in cells(broken, 0))


@pytest.mark.parametrize("kind", [PulseType.NONE, PulseType.NONE_WITH_DEVICE])
def test_without_pulses_the_step_is_floating_points(kind):
    torch.manual_seed(0)
    layer = AnalogLinear(5, 4, rpu_config=perfect(update=UpdateParameters(pulse_type=kind)))
    reference = nn.Linear(5, 4)
    layer.set_weights(reference.weight.detach(), reference.bias.detach())
    x = torch.randn(6, 5)
    for module, optimizer in ((layer, sgd(layer, 0.1)), (reference, torch.optim.SGD(reference.parameters(), 0.1))):
        module(x).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(layer.get_weights()[0], reference.weight.detach(), atol=1e-5, rtol=1e-4)
    assert layer.analog_module.tile.cells.counters.sum() == 0


def test_without_pulses_a_cell_stops_where_its_window_ends():
    update = UpdateParameters(pulse_type=PulseType.NONE_WITH_DEVICE)
    tile = AnalogLinear(2, 1, bias=False, rpu_config=perfect(update=update)).analog_module.tile
    tile.set_learning_rate(100.0)
    tile.update(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0]]))
    torch.testing.assert_close(tile.get_weights(), torch.tensor([[-1.5, 1.5]]))


@pytest.mark.engine
def test_deterministic_trains_train_a_layer_as_the_compiled_constant_step_does():
    """Away from the bounds the cells' steps differ, but not in sign, and not in where there are none."""
    torch.manual_seed(0)
    update = UpdateParameters(pulse_type=PulseType.DETERMINISTIC_IMPLICIT)
    device = ConstantStepDevice(dw_min=1e-4, dw_min_dtod=0, dw_min_std=0, up_down_dtod=0, w_max_dtod=0, w_min_dtod=0)
    x, d = torch.randn(3, 6), 0.01 * torch.randn(3, 4)
    moved = []
    for config in (perfect(update=update), SingleRPUConfig(device=device, update=update)):
        tile = AnalogLinear(6, 4, bias=False, rpu_config=config).analog_module.tile
        tile.set_learning_rate(0.02)
        tile.set_weights(torch.zeros(4, 6))
        start = tile.get_weights()
        tile.update(x[:1], d[:1], False)
        moved.append(torch.sign((tile.get_weights() - start) * (tile.get_weights() - start).abs().gt(1e-6)))
    assert moved[1].abs().sum() > 5
    assert torch.equal(moved[0], moved[1])


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"mapping": MappingParameter(weight_scaling_omega=0.6)}, "weight_scaling_omega"),
        ({"mapping": MappingParameter(learn_out_scaling=True)}, "learn_out_scaling"),
    ],
)
def test_scaling_of_stacked_weights_is_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        AnalogLinear(3, 2, rpu_config=VCMRPUConfig(trials=2, **settings))


def test_a_batch_that_is_no_multiple_of_the_trials_is_refused():
    with pytest.raises(TileError, match="axis of 3 trials"):
        AnalogLinear(4, 2, rpu_config=VCMRPUConfig(trials=3))(torch.zeros(7, 4))
