"""Mean and scatter of the analog product against aihwkit's compiled tile on the same weights and inputs."""

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
from aihwkit.simulator.parameters.enums import AnalogMVType, BoundManagementType, NoiseManagementType, WeightNoiseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.tiles.analog import AnalogTile
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vcm_sweep.device import ArraySeeds, Variability, VCMDevice, VCMRPUConfig
from vcm_sweep.device.seeds import stream_key
from vcm_sweep.device.tile.analog_product import analog_product
from vcm_sweep.device.tile.compiled_product import CompiledProduct, new_suspects
from vcm_sweep.device.tile.io_numbers import IoNumbers
from vcm_sweep.device.tile.settings import check_io
from vcm_sweep.device.tile.vcm_tile import VCMTile

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
    """Means within 6 and variances within 7 standard errors, of some 14,000 comparisons; by the fourth moment."""
    a, b, repeats = a.astype(float), b.astype(float), len(a)
    sd = np.sqrt(0.5 * (a.var(0) + b.var(0)))
    fourth = 0.5 * sum(((s - s.mean(0)) ** 4).mean(0) for s in (a, b))
    # A converter's step that few reads take is Poisson, not normal: 12 such events are allowed for.
    jump = np.maximum(np.abs(a - a.mean(0)).max(0), np.abs(b - b.mean(0)).max(0))
    error = np.sqrt(2 * np.maximum(fourth - sd**4, 0) / repeats)
    assert (np.abs(a.mean(0) - b.mean(0)) <= 6 * sd * np.sqrt(2 / repeats) + 12 * jump / repeats + floor).all()
    assert (np.abs(a.var(0) - b.var(0)) <= 7 * error + 12 * jump**2 / repeats + floor).all()


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


@pytest.mark.engine
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_agrees_with_the_compiled_tile(name, direction):
    io = IOParameters(**SETTINGS[name])
    weight = _weights()
    vcm, compiled = _vcm(weight, io, io), _compiled(weight, io, io)
    assert torch.allclose(vcm.get_weights(), weight, atol=1e-6)
    x = _batch() if direction == "forward" else _batch()[:, :OUT].contiguous()
    assert_same_law(_samples(vcm, x, direction), _samples(compiled, x, direction))


def _by_torch(weight, x, io, seed=0, weight_sd=None):
    """The product of a GPU, with torch's operations."""

    def normal(shape, draw):
        return torch.randn(shape, generator=torch.Generator().manual_seed(1000 * seed + draw))

    return analog_product(weight, x, io, normal, weight_sd)


def _compiled_loops(weight, x, io, seed=0, weight_sd=None):
    """The product of a CPU."""
    keys = np.array([stream_key(seed, k) for k in range(len(x))], np.uint64)
    return CompiledProduct()(weight, x, io, keys, new_suspects(len(x)), weight_sd)


OURS = pytest.mark.parametrize("ours", [_by_torch, _compiled_loops])


def _product(ours, weight, x, io, direction="forward", weight_sd=None):
    """Our product of one trial, (batch, out)."""
    forward = direction == "forward"
    turn = (lambda matrix: matrix) if forward else (lambda matrix: matrix.T)
    sd = None if weight_sd is None else turn(weight_sd)[None]
    return ours(turn(weight)[None], x[None], IoNumbers([io], forward), weight_sd=sd)[0]


def _case(seed, direction, scale=1.0):
    """Random weights of a random shape, and inputs of which some overflow, some are one-sided, one is zero."""
    generator = torch.Generator().manual_seed(seed)
    outputs, inputs = torch.randint(2, 40, (2,), generator=generator).tolist()
    weight = (torch.rand(outputs, inputs, generator=generator) * 2 - 0.8) * scale
    x = torch.randn(7, inputs if direction == "forward" else outputs, generator=generator)
    x[1], x[2], x[3], x[4] = x[1].abs(), -x[2].abs(), 0.0, x[4] * 1e-3
    return weight, x


NOISE_MANAGEMENT = [kind for kind in NoiseManagementType if kind != NoiseManagementType.AVERAGE_ABS_MAX]
BOUND_MANAGEMENT = [kind for kind in BoundManagementType if kind != BoundManagementType.SHIFT]
SEPARATE, DIGITAL_SUM = AnalogMVType.POS_NEG_SEPARATE, AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM
DETERMINISTIC = st.fixed_dictionaries(
    {
        "noise_management": st.sampled_from(NOISE_MANAGEMENT),
        "bound_management": st.sampled_from(BOUND_MANAGEMENT),
        "mv_type": st.sampled_from([AnalogMVType.ONE_PASS, AnalogMVType.IDEAL, SEPARATE, DIGITAL_SUM]),
        "bm_test_negative_bound": st.booleans(),
        # Powers of two: else float errors decide ties, and whether the last step exceeds the bound (12 in 510 does).
        "inp_res": st.sampled_from([-1, 128]),
        "out_res": st.sampled_from([-1, 32]),
        "inp_asymmetry": st.sampled_from([0.0, 0.2, -0.1]),
        "out_asymmetry": st.sampled_from([0.0, 0.3, -0.1]),
        "out_bound": st.sampled_from([0.7, 3.0, 12.0]),
        "out_scale": st.sampled_from([1.0, 1.5]),
        "nm_thres": st.sampled_from([0.0, 0.8]),
        "max_bm_factor": st.sampled_from([1, 3, 1000]),
        "max_bm_res": st.sampled_from([0.25, 0.03]),
    }
)


@pytest.mark.engine
@OURS
@pytest.mark.parametrize("direction", ["forward", "backward"])
@given(chosen=DETERMINISTIC, seed=st.integers(0, 10_000))
@settings(max_examples=250, deadline=None, derandomize=True)
def test_without_noise_every_output_is_the_compiled_tiles(ours, direction, chosen, seed):
    io = IOParameters(out_noise=0.0, **chosen)
    check_io(io, "forward")
    weight, x = _case(seed, direction)
    got = _product(ours, weight, x, io, direction)
    # Float errors may decide ties, and bounds hit exactly: cases that errors of 1e-6 change are left out.
    nudge = 1 + 1e-6 * torch.randn((8, *x.shape), generator=torch.Generator().manual_seed(seed))
    nudged = _product(ours, weight, (x * nudge).flatten(0, 1), io, direction).unflatten(0, (8, -1))
    assume(torch.allclose(nudged, got, rtol=1e-4, atol=1e-5))
    expected = getattr(_compiled(weight, io, io).tile, direction)(x)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.engine
@OURS
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("size", [1e-37, 5e-39, 2e-39, 1e-40, 1e-44])
@pytest.mark.parametrize(
    "kind", [NoiseManagementType.ABS_MAX, NoiseManagementType.ABS_MAX_NP_SUM, NoiseManagementType.MAX]
)
def test_a_vector_of_next_to_nothing_is_read_or_is_zeros(ours, direction, size, kind):
    """Its scale may have no inverse in single precision: a network that is sure of a sample has such gradients."""
    io = IOParameters(out_noise=0.0, noise_management=kind, bound_management=BoundManagementType.NONE)
    weight, x = _case(1, direction)
    x = x[:1] / x[:1].abs().max() * size
    got = _product(ours, weight, x, io, direction)
    engine = getattr(_compiled(weight, io, io).tile, direction)(x)
    expected = engine if size > 2.0**-128 else torch.zeros_like(engine)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-44)


ADDITIVE = {"w_noise": 0.05, "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT}
PCM = {"w_noise": 0.1, "w_noise_type": WeightNoiseType.PCM_READ}
NARROW = {"out_bound": 2.0, "bound_management": BoundManagementType.ITERATIVE_WORST_CASE}
NOISY = {
    "rounds inputs by chance": {"inp_sto_round": True, "inp_res": 6, "out_noise": 0.0},
    "rounds outputs by chance": {"out_sto_round": True, "out_res": 20, "out_noise": 0.0},
    "rounds by chance, at a bound": {"out_sto_round": True, "inp_sto_round": True, "inp_res": 16, **NARROW},
    "pcm": PCM,
    "pcm, asymmetry": {**PCM, "out_asymmetry": 0.4, "inp_asymmetry": 0.2},
    "additive, asymmetry": {**ADDITIVE, "out_asymmetry": 0.4},
    "input noise, asymmetry": {"inp_noise": 0.2, "inp_asymmetry": 0.5},
    "max": {"noise_management": NoiseManagementType.MAX},
    "max, input noise": {"noise_management": NoiseManagementType.MAX, "inp_noise": 0.1},
    "sum of one sign": {"noise_management": NoiseManagementType.ABS_MAX_NP_SUM, "out_bound": 2.0},
    "worst case": {**NARROW, **PCM},
    "worst case, input noise": {**NARROW, "inp_noise": 0.1},
    "worst case, no scale": {**NARROW, "noise_management": NoiseManagementType.NONE},
    "separate": {"mv_type": SEPARATE, "inp_noise": 0.1, "out_bound": 2.0, **PCM},
    "digital sum": {"mv_type": DIGITAL_SUM, "inp_noise": 0.1, "out_asymmetry": 0.2, **ADDITIVE},
    "digital sum, worst case": {"mv_type": DIGITAL_SUM, "out_sto_round": True, "out_res": 32, **NARROW},
    "positive bound": {"bm_test_negative_bound": False, "out_bound": 2.0},
}


@pytest.mark.engine
@OURS
@pytest.mark.parametrize("value", [11.96, 11.98, 12.0, 12.02, 12.04, -12.0, -11.98])
def test_the_largest_code_of_the_converter_overflows_as_in_the_engine(ours, value):
    """Default settings without noise: 255 single-precision steps are 12.000001, above the bound of 12."""
    weight, x = torch.full((1, 20), value / 20), torch.ones(1, 20)
    io = IOParameters(out_noise=0.0)
    ours, theirs = _product(ours, weight, x, io), _compiled(weight, io).tile.forward(x)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-6)


@pytest.mark.engine
@OURS
@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_has_the_law_of_the_compiled_tile(ours, name, direction, seed):
    io, repeats = IOParameters(**NOISY[name]), 5000
    weight, x = _case(seed, direction)
    many = x.repeat(repeats, 1)
    got = _product(ours, weight, many, io, direction)
    expected = getattr(_compiled(weight, io, io).tile, direction)(many)
    assert_same_law(got.view(repeats, len(x), -1).numpy(), expected.view(repeats, len(x), -1).numpy())


@pytest.mark.engine
@OURS
@pytest.mark.parametrize("chosen", [{}, {"out_asymmetry": 0.4}, {"mv_type": DIGITAL_SUM}], ids=str)
def test_read_noise_of_cells_enters_as_weight_noise_does(ours, chosen):
    """Cells that scatter by 0.1 sqrt|w| are aihwkit's PCM_READ of 0.1."""
    weight, x = _case(1, "forward")
    many = x.repeat(5000, 1)
    got = _product(ours, weight, many, IOParameters(**chosen), weight_sd=0.1 * weight.abs().sqrt())
    expected = _compiled(weight, IOParameters(**PCM, **chosen)).tile.forward(many)
    assert_same_law(got.view(5000, len(x), -1).numpy(), expected.view(5000, len(x), -1).numpy())


def test_purposes_and_rounds_draw_numbers_of_their_own():
    """Noise that is used twice would be correlated: between input and output, or from one repetition to the next."""
    io = IOParameters(
        inp_sto_round=True, out_sto_round=True, inp_noise=0.1, out_asymmetry=0.2, **PCM, **{**NARROW, "out_bound": 0.01}
    )
    drawn = []

    def normal(shape, draw):
        drawn.append(draw)
        return torch.randn(shape)

    analog_product(torch.ones(1, 3, 5), torch.ones(1, 2, 5), IoNumbers([io]), normal)
    assert len(drawn) >= 3 * 5
    assert len(set(drawn)) == len(drawn)


@OURS
@pytest.mark.parametrize("chosen", [{}, {"mv_type": DIGITAL_SUM}, {"bm_test_negative_bound": False}], ids=str)
@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e30])
def test_a_trial_that_diverged_changes_no_bit_of_the_others(ours, chosen, poison):
    io = IoNumbers([IOParameters(inp_noise=0.1, inp_sto_round=True, inp_res=128, **NARROW, **PCM, **chosen)])
    weight, x = _case(5, "forward")
    healthy, inputs = weight.expand(3, -1, -1).clone(), x.expand(3, -1, -1).clone()
    sick, sick_inputs = healthy.clone(), inputs.clone()
    sick[0, 0, 0], sick_inputs[1] = poison, poison
    assert torch.equal(ours(sick, sick_inputs, io)[2], ours(healthy, inputs, io)[2])


PER_TRIAL = {
    "inp_res": [-1, 16, 1 / 126],
    "out_res": [30, -1, 1 / 510],
    "inp_noise": [0.0, 0.1, 0.02],
    "out_noise": [0.06, 0.0, 0.3],
    "w_noise": [0.1, 0.0, 0.02],
    "out_bound": [2.0, 12.0, 1.0],
    "out_scale": [1.0, 2.0, 1.0],
    "out_asymmetry": [0.0, 0.3, 0.1],
    "inp_asymmetry": [0.2, 0.0, 0.0],
    "max_bm_factor": [1000, 1, 4],
    "nm_thres": [0.0, 0.8, 0.0],
}


@pytest.mark.parametrize("type_of_noise", [WeightNoiseType.ADDITIVE_CONSTANT, WeightNoiseType.PCM_READ])
@pytest.mark.parametrize("forward", [True, False])
def test_each_trial_of_a_stack_has_settings_of_its_own(type_of_noise, forward):
    """On a CPU a trial gives the same bits alone, also when outputs that overflowed before are asked first."""
    ios = [IOParameters(w_noise_type=type_of_noise, **{n: v[k] for n, v in PER_TRIAL.items()}) for k in range(3)]
    weight = torch.rand(3, 9, 40, generator=torch.Generator().manual_seed(3)) * 2 - 0.8
    x = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(4))
    keys = np.arange(3, dtype=np.uint64)

    def twice(trials):
        product, suspects = CompiledProduct(), new_suspects(len(ios[trials]))
        given = weight[trials], x[trials], IoNumbers(ios[trials], forward), keys[trials], suspects
        return product(*given), product(*given)

    together = twice(slice(3))
    for k in range(3):
        alone = twice(slice(k, k + 1))
        assert torch.equal(together[0][k], alone[0][0])
        assert torch.equal(together[1][k], alone[1][0])
    # Asking the suspects first saves products, and changes nothing.
    torch.testing.assert_close(*together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("numbers", [PER_TRIAL, {"out_bound": [2.0, 12.0, 1.0]}])
def test_settings_of_each_trial_give_a_gpu_what_each_gives_alone(forward, numbers):
    ios = [IOParameters(**{n: v[k] for n, v in numbers.items() if "noise" not in n}, out_noise=0.0) for k in range(3)]
    weight = torch.rand(3, 9, 40, generator=torch.Generator().manual_seed(3)) * 2 - 0.8
    x = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(4))
    got = _by_torch(weight, x, IoNumbers(ios, forward))
    for k in range(3):
        one = slice(k, k + 1)
        torch.testing.assert_close(got[one], _by_torch(weight[one], x[one], IoNumbers(ios[one], forward)))


def test_words_of_stacked_trials_must_agree():
    ios = [IOParameters(), IOParameters(noise_management=NoiseManagementType.NONE)]
    with pytest.raises(ConfigError, match=r"forward.noise_management differs between stacked trials"):
        VCMRPUConfig(trials=2, forward=ios).check()
    with pytest.raises(ConfigError, match=r"backward has 2 entries for 3 trials"):
        VCMRPUConfig(trials=3, backward=[IOParameters(), IOParameters()]).check()


@pytest.mark.engine
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


@pytest.mark.engine
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
        {"out_nonlinearity": 0.1},
        {"out_nonlinearity_std": 0.1},
        {"slope_calibration": 0.5},
        {"ir_drop": 1.0},
        {"v_offset_std": 0.1},
        {"r_series": 0.1},
        {"w_read_asymmetry_dtod": 0.1},
        {"out_noise_std": 0.1},
        {"noise_management": NoiseManagementType.AVERAGE_ABS_MAX},
        {"bound_management": BoundManagementType.SHIFT},
        {"mv_type": AnalogMVType.SPLIT_MODE},
        {"mv_type": AnalogMVType.BIT_WISE},
        {"out_bound": 0.0},
        {"out_bound": float("inf")},
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_unsupported_settings_are_refused_by_name(settings, where):
    io = IOParameters(**settings)
    with pytest.raises(ConfigError, match=f"{where}.{next(iter(settings))}"):
        check_io(io, where)
    with pytest.raises(ConfigError, match=where):
        VCMTile(2, 2, VCMRPUConfig(**{where: io}))
