"""Layers of VCM cells as an aihwkit user sees them: training, stacked trials, copies, refusals."""

import copy
import dataclasses
import io
import itertools
import math
import pickle

import pytest
import torch
from aihwkit.exceptions import ConfigError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.pre_post import InputRangeParameter, PrePostProcessingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.custom import CustomUpdateParameters
from sklearn.datasets import load_digits
from torch import nn

from vcm_sweep.device import ArraySeeds, Mismatch, Spread, TrialSGD, Variability, VCMDevice, VCMRPUConfig, Walk

DEVICES = (
    VCMDevice(),
    VCMDevice(
        variability=Variability(
            d2d={"r": Spread(0.1, 0.2), "N_max": Spread(1.0, 0.1, "clipped")},
            c2c={"r": Walk(0.01, 0.1, 0.1), "N_min": Walk(0.9, 0.0, 0.9)},
            read_noise=0.02,
            mismatch=Mismatch(0.1, 0.2),
        )
    ),
    VCMDevice(variability=Variability(d2d={"l": Spread(0.1, 0.2)}, c2c={"l": Walk(0.01, 0.0, 0.1)}, read_noise=0.01)),
    VCMDevice(variability=Variability(c2c={"N_max": Walk(0.1, 0.0, 0.1)}, mismatch=Mismatch(-0.3)), dw_min=2e-4),
)
SEEDS = tuple(ArraySeeds(11 + k, 101 + k, 1001 + k) for k in range(len(DEVICES)))
SIZES = (64, 32, 10)


def digits():
    data = load_digits()
    return torch.tensor(data.data / 16, dtype=torch.float32), torch.tensor(data.target)


def network(devices, seeds, stacked):
    """64-32-10 with sigmoid and log-softmax; weights that do not depend on what is stacked."""
    torch.manual_seed(0)
    config = VCMRPUConfig(device=devices if stacked else devices[0], trials=len(devices) if stacked else None)
    layers = [AnalogLinear(a, b, rpu_config=config) for a, b in itertools.pairwise(SIZES)]
    start = torch.Generator().manual_seed(5)
    for index, layer in enumerate(layers):
        layer.analog_module.tile.reseed(seeds, index)
        weight = 0.4 * (torch.rand(layer.out_features, layer.in_features, generator=start) - 0.5)
        layer.analog_module.tile.set_weights(weight.expand(len(devices), -1, -1))
        layer.analog_module.bias.data.zero_()
    return AnalogSequential(layers[0], nn.Sigmoid(), layers[1], nn.LogSoftmax(dim=-1))


def train(net, trials, batches, batch=32, first=0, lr=0.1):
    x, y = digits()
    optimizer = AnalogSGD(net.parameters(), lr=lr)
    optimizer.regroup_param_groups(net)
    losses = []
    for k in range(first, first + batches):
        part = slice(k * batch % 1600, k * batch % 1600 + batch)
        inputs, target = x[part], y[part]
        optimizer.zero_grad()
        if trials is None:
            loss = nn.functional.nll_loss(net(inputs), target)
        else:
            out = net(inputs.expand(trials, -1, -1))
            loss = sum(nn.functional.nll_loss(out[t], target) for t in range(trials))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def tiles(net):
    return [layer.analog_module.tile for layer in net if isinstance(layer, AnalogLinear)]


def state(net, k=None):
    """Everything that differs between trials; of trial k when stacked."""
    out = []
    for layer in net:
        if isinstance(layer, AnalogLinear):
            cells, bias = layer.analog_module.tile.cells, layer.analog_module.bias
            i = 0 if k is None else k
            out += [cells.weight[i], cells.log_n[i], cells.counters[i], bias if k is None else bias[k]]
            count = cells.log_n.shape[1]
            out += [getattr(cells, f"walked_{n}")[i].expand(count) for n in ("N_max", "N_min", "r", "l")]
    return [tensor.detach().clone() for tensor in out]


def assert_equal(a, b):
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("k", range(len(DEVICES)))
def test_a_stacked_trial_is_the_trial_alone_bit_for_bit(k):
    together = network(DEVICES, SEEDS, stacked=True)
    train(together, len(DEVICES), 6)
    alone = network(DEVICES[k : k + 1], SEEDS[k : k + 1], stacked=False)
    train(alone, None, 6)
    assert tiles(alone)[0].cells.counters[0, :2].sum() > 0
    assert_equal(state(together, k), state(alone))


def test_stack_of_one_is_a_plain_layer():
    stacked, plain = network(DEVICES[1:2], SEEDS[1:2], True), network(DEVICES[1:2], SEEDS[1:2], False)
    train(stacked, 1, 4)
    train(plain, None, 4)
    assert_equal(state(stacked, 0), state(plain))


def test_permuted_trials_permute_the_results():
    order = (2, 0, 3, 1)
    straight, permuted = (
        network(tuple(DEVICES[i] for i in o), tuple(SEEDS[i] for i in o), True) for o in (range(4), order)
    )
    for net in (straight, permuted):
        train(net, 4, 4)
    for place, k in enumerate(order):
        assert_equal(state(permuted, place), state(straight, k))


def test_equal_devices_and_seeds_are_equal_and_other_seeds_are_not():
    net = network((DEVICES[1],) * 3, (SEEDS[0], SEEDS[0], SEEDS[1]), True)
    train(net, 3, 3)
    assert_equal(state(net, 0), state(net, 1))
    assert not torch.equal(state(net, 0)[0], state(net, 2)[0])


def test_global_generator_is_not_used_in_training():
    a, b = (network(DEVICES, SEEDS, True) for _ in range(2))
    torch.manual_seed(1)
    train(a, 4, 2)
    torch.manual_seed(2)
    train(b, 4, 2)
    assert_equal(state(a, 1), state(b, 1))


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "state_dict"])
@pytest.mark.parametrize("stacked", [True, False])
def test_a_copy_continues_bit_for_bit(how, stacked):
    devices, seeds = (DEVICES, SEEDS) if stacked else (DEVICES[1:2], SEEDS[1:2])
    trials = len(devices) if stacked else None
    net = network(devices, seeds, stacked)
    train(net, trials, 3)
    if how == "deepcopy":
        other = copy.deepcopy(net)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(net))
    else:
        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        other = network(devices, tuple(ArraySeeds(9, 9, 9) for _ in devices), stacked)
        other.load_state_dict(torch.load(file, weights_only=False))
    for one in (net, other):
        train(one, trials, 3, first=3)
    for k in range(len(devices)):
        assert_equal(state(net, k if stacked else None), state(other, k if stacked else None))


SPREADS = (
    Variability(),
    Variability(d2d={"r": Spread(0.1, 0.2)}),
    Variability(d2d={"r": Spread(0.02, 0.2)}, c2c={"l": Walk(0.01, 0.0, 0.1)}),
)


@pytest.mark.parametrize("how", ["load_state_dict", "replace_rpu_config"])
@pytest.mark.parametrize("there", SPREADS, ids=["alike", "wide", "walking"])
@pytest.mark.parametrize("here", SPREADS, ids=["alike", "wide", "walking"])
def test_weights_move_to_cells_of_another_make(how, here, there):
    torch.manual_seed(0)
    given = torch.rand(4, 6) - 0.5
    source = AnalogLinear(6, 4, rpu_config=VCMRPUConfig(device=VCMDevice(variability=there)), bias=False)
    target = AnalogLinear(6, 4, rpu_config=VCMRPUConfig(device=VCMDevice(variability=here)), bias=False)
    source.set_weights(given)
    if how == "load_state_dict":
        target.load_state_dict(source.state_dict(), load_rpu_config=False)
    else:
        source.analog_module.to(VCMRPUConfig(device=VCMDevice(variability=here)))
        target = source
    cells = target.analog_module.tile.cells
    assert cells.devices[0].variability == here
    # Radii have the spread of the device that is here, over 24 cells.
    radii = cells.base_r.double()
    sigma = here.d2d["r"].sigma if "r" in here.d2d else 0.0
    assert 0.6 * sigma <= radii.std(unbiased=False) / radii.mean() <= 1.4 * sigma + 1e-9 or radii.numel() == 1
    assert (radii.numel() == 1) == (sigma == 0)
    assert torch.allclose(target.get_weights()[0], given, atol=1e-5)
    # It goes on: trains, and is a copy of itself.
    target(torch.ones(2, 6)).sum().backward()
    AnalogSGD(target.parameters(), lr=0.1).step()
    assert (target.get_weights()[0] < given).all()
    assert torch.equal(copy.deepcopy(target).get_weights()[0], target.get_weights()[0])


def test_a_quieter_reading_leaves_the_cells_as_they_are():
    net = network(DEVICES[1:2], SEEDS[1:2], False)
    train(net, None, 3)
    quiet = dataclasses.replace(
        DEVICES[1], dw_min=2e-4, variability=dataclasses.replace(DEVICES[1].variability, read_noise=0.0)
    )
    other = network((quiet,), (ArraySeeds(9, 9, 9),), False)
    other.load_state_dict(net.state_dict(), load_rpu_config=False)
    assert_equal(state(net, None), state(other, None))
    assert not any(tile.cells.devices[0].variability.read_noise.sigma for tile in tiles(other))


@pytest.mark.parametrize("how", ["load", "copy"])
def test_loading_draws_nothing_from_the_global_generator(how):
    net = network(DEVICES[:2], SEEDS[:2], True)
    kept = net.state_dict()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    net.load_state_dict(kept) if how == "load" else copy.deepcopy(net)
    assert torch.equal(torch.rand(3), expected)


def test_trains_on_real_digits():
    """The loss of 250 steps falls to 0.5 to 0.95 of the first ones', by the seed: four networks in the mean."""
    fallen = []
    for seed in range(4):
        torch.manual_seed(seed)
        net = AnalogSequential(
            AnalogLinear(64, 32, rpu_config=VCMRPUConfig()),
            nn.Sigmoid(),
            AnalogLinear(32, 10, rpu_config=VCMRPUConfig()),
            nn.LogSoftmax(dim=-1),
        )
        losses = train(net, None, 250, lr=0.1)
        assert sum(losses[:20]) / 20 > 1.8
        fallen.append(sum(losses[-20:]) / sum(losses[:20]))
        for tile in tiles(net):
            assert tile.get_weights().abs().max() <= 1.5 + 1e-5
    assert sum(fallen) / 4 < 0.9


def test_the_first_layer_of_the_paper_takes_a_step():
    layer = AnalogLinear(784, 256, rpu_config=VCMRPUConfig())
    layer.set_weights(torch.zeros(256, 784), torch.zeros(256))
    optimizer = AnalogSGD(layer.parameters(), lr=0.05)
    optimizer.regroup_param_groups(layer)
    x = torch.rand(8, 784, generator=torch.Generator().manual_seed(1))
    target = torch.full((8, 256), 0.5)
    before = nn.functional.mse_loss(x @ layer.get_weights()[0].T, target).item()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(x), target, reduction="sum").backward()
        optimizer.step()
    assert layer.analog_module.tile.cells.counters[0, :2].sum() > 0
    weight, bias = layer.get_weights()
    assert nn.functional.mse_loss(x @ weight.T + bias, target).item() != before


def test_update_descends_in_every_quadrant():
    tile = AnalogLinear(2, 2, rpu_config=VCMRPUConfig()).analog_module.tile
    tile.set_weights(torch.zeros(2, 2))
    tile.set_learning_rate(0.1)
    tile.update(torch.tensor([[1.0, -1.0]]), torch.tensor([[0.5, -0.5]]))
    assert torch.sign(tile.get_weights()).tolist() == [[-1, 1], [1, -1]]


def test_set_weights_clips_to_the_window():
    layer = AnalogLinear(3, 2, rpu_config=VCMRPUConfig())
    layer.set_weights(torch.tensor([[-9.0, 0.3, 9.0], [-1.6, 1.6, 0.0]]), torch.zeros(2))
    expected = torch.tensor([[-1.5, 0.3, 1.5], [-1.5, 1.5, 0.0]])
    torch.testing.assert_close(layer.get_weights()[0], expected, rtol=0, atol=1e-5)


def test_stacked_weights_and_bias_are_per_trial():
    layer = AnalogLinear(3, 2, rpu_config=VCMRPUConfig(trials=2, forward=IOParameters(is_perfect=True)))
    weight = torch.linspace(-1, 1, 12).view(2, 2, 3)
    layer.set_weights(weight, torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    got, bias = layer.get_weights()
    torch.testing.assert_close(got, weight, rtol=0, atol=1e-6)
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(x), torch.bmm(x, weight.transpose(1, 2)) + bias[:, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stacked", [True, False])
def test_two_forwards_before_a_step_count_twice(stacked):
    """aihwkit joins the passes on the leading axis, which is the trials' when stacked."""
    config = VCMRPUConfig(
        trials=3 if stacked else None,
        forward=IOParameters(is_perfect=True),
        backward=IOParameters(is_perfect=True),
    )
    layer = AnalogLinear(4, 2, rpu_config=config, bias=False)
    shape = (3, 2, 4) if stacked else (2, 4)
    layer.set_weights(torch.zeros(shape), None)
    optimizer = AnalogSGD(layer.parameters(), lr=0.5)
    optimizer.regroup_param_groups(layer)
    optimizer.zero_grad()
    # Trial 0 sees only column 0, trial 1 only column 1, and so on; the second pass has another batch size.
    loss = 0.0
    for batch, sign in ((2, 1.0), (3, 1.0)):
        x = torch.zeros(3, batch, 4) if stacked else torch.zeros(batch, 4)
        for t in range(3 if stacked else 1):
            (x[t] if stacked else x)[:, t] = 1.0
        loss = loss - sign * layer(x).sum()
    loss.backward()
    optimizer.step()
    weight = layer.get_weights()[0]
    for t in range(3 if stacked else 1):
        one = weight[t] if stacked else weight
        assert (one[:, t] > 0.1).all()
        others = [c for c in range(4) if c != t]
        assert (one[:, others].abs() < 1e-6).all()
    # Five samples, each a saturated train of 31 pulses on two cells.
    counters = layer.analog_module.tile.cells.counters
    fired = counters[:, 0] + counters[:, 3]
    assert fired.tolist() == [5 * 31 * 2] * len(fired)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5, 3), (3,), (1, 5, 3)])
def test_wrong_trial_axis_is_refused(shape):
    layer = AnalogLinear(3, 2, rpu_config=VCMRPUConfig(trials=2))
    with pytest.raises(TileError):
        layer(torch.zeros(shape))


def test_learning_rate_per_trial():
    tile = AnalogLinear(2, 2, rpu_config=VCMRPUConfig(trials=2), bias=False).analog_module.tile
    tile.set_weights(torch.zeros(2, 2, 2))
    tile.set_learning_rate(0.1)
    tile.set_rate_factors([0.0, 1.0])
    tile.update(torch.ones(2, 1, 2), torch.ones(2, 1, 2))
    weight = tile.get_weights()
    assert (weight[0].abs() < 1e-6).all()
    assert (weight[1] < -1e-3).all()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"update": CustomUpdateParameters()}, "pulse_type"),
        ({"update": UpdateParameters(um_grad_scale=0.5)}, "um_grad_scale"),
        ({"update": UpdateParameters(desired_bl=100)}, "desired_bl"),
        ({"update": UpdateParameters(desired_bl=0)}, "desired_bl"),
        ({"update": [UpdateParameters()] * 2}, "update has 2 entries for 1 trials"),
        ({"update": [UpdateParameters(), UpdateParameters(res=0.1)], "trials": 2}, "differ in desired_bl alone"),
        ({"update": UpdateParameters(sto_round=True)}, "sto_round"),
        ({"update": UpdateParameters(res=100)}, "res"),
        ({"update": UpdateParameters(fixed_bl=False, update_bl_management=False)}, "fixed_bl"),
        ({"forward": IOParameters(out_nonlinearity=0.1)}, "forward.out_nonlinearity"),
        ({"backward": IOParameters(ir_drop=1.0)}, "backward"),
        ({"trials": 0}, "trials"),
        ({"trials": 2, "pre_post": PrePostProcessingParameter(InputRangeParameter(enable=True))}, "input_range"),
        ({"trials": 3, "device": (VCMDevice(), VCMDevice())}, "2 entries for 3 trials"),
    ],
)
def test_unsupported_configurations_are_refused(settings, word):
    with pytest.raises(ConfigError, match=word):
        AnalogLinear(3, 2, rpu_config=VCMRPUConfig(**settings))


def test_reseed_needs_one_seed_per_trial():
    tile = AnalogLinear(3, 2, rpu_config=VCMRPUConfig(trials=2)).analog_module.tile
    with pytest.raises(TileError, match="1 seeds for 2 trials"):
        tile.reseed([ArraySeeds(1, 2, 3)], 0)


@pytest.mark.parametrize("trials", [None, 2])
def test_errors_are_read_only_where_something_asks_for_them(trials):
    def gradients(asked):
        torch.manual_seed(3)
        layer = AnalogLinear(6, 4, rpu_config=VCMRPUConfig(trials=trials))
        shape = (5, 6) if trials is None else (trials, 5, 6)
        x = torch.rand(shape, requires_grad=asked)
        layer(x).square().sum().backward()
        tile = next(layer.analog_tiles())
        return x.grad, int(tile.tile.calls[1]), tile.analog_ctx.analog_grad_output[0]

    errors, reads, output_errors = gradients(True)
    assert errors.abs().sum() > 0
    assert reads == 1
    none, no_reads, same_output_errors = gradients(False)
    assert none is None
    assert no_reads == 0
    assert torch.equal(output_errors, same_output_errors)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_gives_what_it_is_given_also_in_another_precision(dtype, bias):
    """As aihwkit's layers of torch tiles do; within, cells are read in single precision."""
    net = torch.nn.Sequential(AnalogLinear(6, 4, bias, rpu_config=VCMRPUConfig()), torch.nn.Linear(4, 2)).to(dtype)
    x = torch.randn(3, 6, dtype=dtype, requires_grad=True)
    y = net(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("factor", [-1.0, math.nan, math.inf])
def test_a_factor_on_a_rate_is_a_number_from_0_on(factor):
    net = network(DEVICES, SEEDS, True)
    with pytest.raises(TileError, match=r"learning-rate factor .* must be a finite number, at least 0"):
        TrialSGD(net, 0.1, [1.0] * (len(DEVICES) - 1) + [factor])
