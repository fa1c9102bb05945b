"""Mean and scatter of the analog product against aihwkit's compiled tile on the same weights and inputs."""

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, WeightNoiseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.tiles.analog import AnalogTile

from vcm_sweep.device import ArraySeeds, Variability, VCMDevice, VCMRPUConfig
from vcm_sweep.device.mvm import check_io
from vcm_sweep.device.tile import VCMTile

REPEATS = 1000
OUT, IN = 6, 40


def _weights(scale=1.0):
    return (torch.rand(OUT, IN, generator=torch.Generator().manual_seed(3)) * 2 - 1) * scale


def _vcm(weight, forward=None, backward=None, **variability):
    config = VCMRPUConfig(
        device=VCMDevice(variability=Variability(**variability)),
        forward=forward or IOParameters(),
        backward=backward or IOParameters(),
    )
    tile = VCMTile(weight.shape[0], weight.shape[1], config)
    tile.tile.reseed([ArraySeeds(1, 2, 3)], 0)
    tile.tile.set_weights(weight)
    return tile.tile


def _compiled(weight, forward=None, backward=None):
    device = ConstantStepDevice(w_max=3, w_min=-3, w_max_dtod=0, w_min_dtod=0, construction_seed=1)
    config = SingleRPUConfig(device=device, forward=forward or IOParameters(), backward=backward or IOParameters())
    tile = AnalogTile(weight.shape[0], weight.shape[1], config)
    tile.tile.set_weights(weight)
    # The compiled tile works on weights that the Python tile owns: keep it alive.
    return tile


def _samples(tile, x, direction="forward"):
    call = getattr(tile.tile if isinstance(tile, AnalogTile) else tile, direction)
    return np.stack([call(x).numpy() for _ in range(REPEATS)])


def assert_same_law(a, b, floor=5e-6):
    """Means and variances within 5 and 6 standard errors, by the fourth moment: outputs are stepped."""
    a, b = a.astype(float), b.astype(float)
    sd = np.sqrt(0.5 * (a.var(0) + b.var(0)))
    fourth = 0.5 * sum(((s - s.mean(0)) ** 4).mean(0) for s in (a, b))
    # A converter's step that few reads take is Poisson, not normal: 12 such events are allowed for.
    jump = np.maximum(np.abs(a - a.mean(0)).max(0), np.abs(b - b.mean(0)).max(0))
    error = np.sqrt(2 * np.maximum(fourth - sd**4, 0) / REPEATS)
    assert (np.abs(a.mean(0) - b.mean(0)) <= 5 * sd * np.sqrt(2 / REPEATS) + 12 * jump / REPEATS + floor).all()
    assert (np.abs(a.var(0) - b.var(0)) <= 6 * error + 12 * jump**2 / REPEATS + floor).all()


def _batch(seed=0):
    x = torch.randn(4, IN, generator=torch.Generator().manual_seed(seed))
    x[1] *= 1e-3
    x[2] = 0.0
    return x


SETTINGS = {
    "default": {},
    "no noise management": {"noise_management": NoiseManagementType.NONE},
    "constant": {"noise_management": NoiseManagementType.CONSTANT, "nm_thres": 2.0},
    "constant, no threshold": {"noise_management": NoiseManagementType.CONSTANT},
    "abs max with threshold": {"nm_thres": 1.5},
    "input noise": {"inp_noise": 0.1},
    "weight noise": {"w_noise": 0.05, "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT},
    "no bound management": {"bound_management": BoundManagementType.NONE},
    "coarse": {"inp_res": 1 / 14, "out_res": 1 / 30},
    "steps as numbers": {"inp_res": 126, "out_res": 510},
    "no converters": {"inp_res": -1, "out_res": -1},
    "narrow output": {"out_bound": 2.0},
    "scaled output": {"out_scale": 2.0},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_agrees_with_the_compiled_tile(name, direction):
    io = IOParameters(**SETTINGS[name])
    weight = _weights()
    vcm, compiled = _vcm(weight, io, io), _compiled(weight, io, io)
    assert torch.allclose(vcm.get_weights(), weight, atol=1e-6)
    x = _batch() if direction == "forward" else _batch()[:, :OUT].contiguous()
    assert_same_law(_samples(vcm, x, direction), _samples(compiled, x, direction))


def test_an_overflowing_sample_leaves_its_neighbours_alone():
    """aihwkit's own torch product repeats the whole batch: neighbours' noise grows from 0.06 to 0.49."""
    weight = _weights().abs() + 0.4
    x = torch.zeros(3, IN)
    x[0, :3], x[1], x[2, :2] = torch.tensor([1.0, -1.0, 0.5]), 1.0, torch.tensor([1.0, -0.8])
    got = _samples(_vcm(weight), x)
    np.testing.assert_allclose(got[:, [0, 2]].std(0), 0.06, rtol=0.12)
    assert (got[:, 1].std(0) > 0.1).all()
    assert_same_law(got, _samples(_compiled(weight), x))
    # Alone or in the batch, a sample has the same law.
    assert_same_law(got[:, :1], _samples(_vcm(weight), x[:1]))


def test_backward_has_no_bound_management():
    weight = torch.full((40, 5), 1.2)
    d = torch.ones(2, 40)
    got, compiled = _samples(_vcm(weight), d, "backward"), _samples(_compiled(weight), d, "backward")
    np.testing.assert_allclose(compiled.mean(0), 12.0, atol=0.01)
    np.testing.assert_allclose(got.mean(0), 12.0, atol=0.01)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_perfect_product_is_exact(direction):
    io, weight = IOParameters(is_perfect=True), _weights()
    x = _batch() if direction == "forward" else _batch()[:, :OUT]
    expected = x @ (weight.T if direction == "forward" else weight)
    torch.testing.assert_close(getattr(_vcm(weight, io, io), direction)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_read_noise_is_relative_to_the_read_current(reference_cell, direction):
    """Variance sum x^2 sigma_w^2, sigma_w = relative (w - w_dark): a cell at w = 0 scatters, too."""
    io, weight = IOParameters(is_perfect=True), _weights()
    cell = reference_cell()
    low, high = cell.current(0.2, 0.06), cell.current(0.2, 1.98974521274400865)
    dark = -1.5 - 3 * low / (high - low)
    sigma = 0.05 * (weight - dark)
    x = _batch() if direction == "forward" else _batch()[:, :OUT].contiguous()
    matrix = sigma.T if direction == "forward" else sigma
    got = _samples(_vcm(weight, io, io, read_noise=0.05), x, direction)
    expected = (x.square() @ matrix.square()).sqrt().numpy()
    np.testing.assert_allclose(got.std(0), expected, rtol=6 / np.sqrt(2 * REPEATS), atol=1e-7)


def test_read_noise_adds_to_the_output_noise():
    io = IOParameters(inp_res=-1, out_res=-1)
    weight, x = torch.zeros(OUT, IN), torch.zeros(1, IN)
    x[0, :4] = torch.tensor([1.0, -0.5, 0.25, 0.5])
    plain, noisy = _samples(_vcm(weight, io), x).var(0), _samples(_vcm(weight, io, read_noise=0.03), x).var(0)
    reads = _samples(_vcm(weight, IOParameters(is_perfect=True), read_noise=0.03), x).var(0)
    np.testing.assert_allclose(noisy, plain + reads, rtol=12 / np.sqrt(REPEATS))


def test_outputs_are_independent_and_calls_differ():
    got = _samples(_vcm(torch.zeros(OUT, IN)), torch.ones(2, IN)).reshape(REPEATS, -1)
    correlation = np.corrcoef(got.T) - np.eye(got.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(REPEATS)


@pytest.mark.parametrize(
    "settings",
    [
        {"inp_sto_round": True},
        {"out_sto_round": True},
        {"out_nonlinearity": 0.1},
        {"ir_drop": 1.0},
        {"r_series": 0.1},
        {"inp_asymmetry": 0.1},
        {"out_noise_std": 0.1},
        {"noise_management": NoiseManagementType.AVERAGE_ABS_MAX},
        {"bound_management": BoundManagementType.SHIFT},
        {"w_noise_type": WeightNoiseType.PCM_READ},
        {"out_bound": 0.0},
    ],
)
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_unsupported_settings_are_refused_by_name(settings, where):
    io = IOParameters(**settings)
    with pytest.raises(ConfigError, match=where):
        check_io(io, where)
    with pytest.raises(ConfigError, match=where):
        VCMTile(2, 2, VCMRPUConfig(**{where: io}))
