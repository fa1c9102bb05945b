"""Number and sign of fired pulses per cell, against aihwkit's ConstantStepDevice and the binomial law.

In one sample every slot of a cell is a Bernoulli trial of probability p_row p_column: the count is binomial,
means are compared within 5 standard errors, variances within 5.5 of the sample variance's standard errors.
"""

import math

import numba as nb
import numpy as np
import pytest
import torch
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile
from scipy import stats

from vcm_sweep.device.kernels.cpu.random import advance, bernoulli_mask, bits64, popcount
from vcm_sweep.device.kernels.cpu.update import draw_sample, share_sample
from vcm_sweep.device.kernels.layout import DETERMINISTIC_IMPLICIT, MEAN_COUNT, STOCHASTIC, Train

REPEATS = 1500
DW_MIN = 1e-4


@nb.njit
def _counts(x, d, train, repeats, key):
    counts = np.zeros((repeats, d.shape[0], x.shape[0]), np.int64)
    columns, column_masks = np.empty(x.shape[0], np.int64), np.empty(x.shape[0], np.uint64)
    rows, row_masks = np.empty(d.shape[0], np.int64), np.empty(d.shape[0], np.uint64)
    state = np.uint64(key)
    for k in range(repeats):
        state, fired_rows, fired_columns = draw_sample(state, x, d, train, columns, column_masks, rows, row_masks)
        for i in range(fired_rows):
            for j in range(fired_columns):
                counts[k, rows[i], columns[j]] = popcount(row_masks[i] & column_masks[j])
    return counts


def ours(x, d, lr, update, key=7):
    train = Train(
        lr,
        DW_MIN,
        update.desired_bl,
        update.fixed_bl,
        update.update_bl_management,
        update.update_management,
        STOCHASTIC,
        max(update.res, 0.0),
        max(update.res, 0.0),
    )
    magnitude = _counts(x.numpy(), d.numpy(), train, REPEATS, key)
    return magnitude * -np.nan_to_num(np.sign(np.outer(d.numpy(), x.numpy()))).astype(int)


def compiled(x, d, lr, update, repeats=REPEATS):
    device = ConstantStepDevice(
        dw_min=DW_MIN,
        dw_min_dtod=0,
        dw_min_std=0,
        up_down_dtod=0,
        w_max=100,
        w_min=-100,
        w_max_dtod=0,
        w_min_dtod=0,
        construction_seed=1,
    )
    tile = AnalogTile(len(d), len(x), SingleRPUConfig(device=device, update=update))
    tile.set_learning_rate(lr)
    start = torch.zeros(len(d), len(x))
    counts = np.zeros((repeats, len(d), len(x)), int)
    for k in range(repeats):
        tile.tile.set_weights(start)
        tile.update(x[None], d[None])
        counts[k] = (tile.tile.get_weights() / DW_MIN).round().int().numpy()
    return counts


def assert_same_law(a, b):
    n = REPEATS
    mean_a, mean_b, var_a, var_b = a.mean(0), b.mean(0), a.var(0), b.var(0)
    pooled = 0.5 * (var_a + var_b)
    assert (np.abs(mean_a - mean_b) <= 5 * np.sqrt(2 * pooled / n) + 6 / n).all()
    # Var(s^2) = (m4 - s^4) / n, with the pooled fourth moment.
    fourth = 0.5 * (((a - mean_a) ** 4).mean(0) + ((b - mean_b) ** 4).mean(0))
    spread = np.sqrt(2 * np.maximum(fourth - pooled**2, 0) / n)
    assert (np.abs(var_a - var_b) <= 5.5 * spread + 12 / n).all()


CASES = {
    "default": (5, 7, 0.05, {}),
    "moderate": (5, 7, 0.002, {}),
    "moderate, bl 63": (4, 5, 0.003, {"desired_bl": 63}),
    "moderate, no bl management": (4, 5, 0.002, {"update_bl_management": False}),
    "moderate, no update management": (4, 5, 0.002, {"update_management": False}),
    "moderate, no management": (4, 5, 0.001, {"update_bl_management": False, "update_management": False}),
    "tiny": (4, 6, 1e-4, {}),
    "vanishing": (3, 4, 2e-6, {}),
    "saturating": (6, 5, 2.0, {}),
    "strongly saturating": (3, 3, 50.0, {}),
    "one cell": (1, 1, 0.01, {}),
    "bl 1": (4, 4, 0.01, {"desired_bl": 1}),
    "bl 10": (4, 5, 0.01, {"desired_bl": 10}),
    "bl 63": (4, 5, 0.03, {"desired_bl": 63}),
    "no bl management": (5, 4, 0.01, {"update_bl_management": False}),
    "no management": (5, 4, 0.01, {"update_bl_management": False, "update_management": False}),
    "no update management": (5, 4, 0.01, {"update_management": False}),
    "no management, saturating": (5, 4, 1.0, {"update_bl_management": False, "update_management": False}),
    "two passes": (5, 4, 0.01, {"pulse_type": PulseType.STOCHASTIC}),
}


def _too_short(x, d, lr, update):
    """Whether the longest train is too short for the gradient while update management is on.

    aihwkit 1.2.0's compiled engine then clips the gradient only; its older source and the rule written in the
    paper's protocol clip rows and columns alike.
    """
    managed = update.update_bl_management or update.update_management
    return managed and lr * x.abs().max() * d.abs().max() > update.desired_bl * DW_MIN


def _sample(case):
    outputs, inputs, lr, settings = CASES[case]
    generator = torch.Generator().manual_seed(sorted(CASES).index(case))
    x = torch.randn(inputs, generator=generator)
    d = torch.randn(outputs, generator=generator) * (0.3 if case != "vanishing" else 1.0)
    if inputs > 3:
        x[1] = 0.0
    return x, d, lr, UpdateParameters(**settings)


@pytest.mark.engine
@pytest.mark.parametrize("case", CASES)
def test_counts_follow_the_law_of_the_compiled_device(case):
    x, d, lr, update = _sample(case)
    assert not (case.startswith("moderate") and _too_short(x, d, lr, update))
    assert not ("saturating" in case and "no management" not in case and not _too_short(x, d, lr, update))
    assert_same_law(ours(x, d, lr, update), compiled(x, d, lr, update))


@pytest.mark.parametrize("case", CASES)
def test_counts_are_binomial(case):
    x, d, lr, update = _sample(case)
    x_max, d_max = x.abs().max().item(), d.abs().max().item()
    slots = update.desired_bl
    if update.update_bl_management:
        slots = min(math.ceil(lr * x_max * d_max / DW_MIN), slots)
    amplitude = math.sqrt(lr / (DW_MIN * slots))
    managed = update.update_management or update.update_bl_management
    ratio = math.sqrt(x_max / d_max) if managed else 1.0
    row = (d.abs().double() * amplitude * ratio).clamp(max=1).numpy()
    column = (x.abs().double() * amplitude / ratio).clamp(max=1).numpy()
    if _too_short(x, d, lr, update):
        row = (lr * x_max * d.abs().double() / (DW_MIN * slots)).clamp(max=1).numpy()
        column = (x.abs().double() / x_max).numpy()
    p = np.outer(row, column)
    got = ours(x, d, lr, update)
    assert np.abs(got).max() <= slots
    magnitude = np.abs(got)
    assert (np.abs(magnitude.mean(0) - slots * p) <= 5 * np.sqrt(slots * p * (1 - p) / REPEATS) + 6 / REPEATS).all()
    assert (np.sign(got) * np.sign(np.outer(d, x)) <= 0).all()


def test_expected_step_is_the_gradient_where_nothing_saturates():
    x, d = torch.tensor([0.5, -0.3, 0.8]), torch.tensor([0.01, -0.04])
    mean = ours(x, d, 0.05, UpdateParameters()).mean(0) * DW_MIN
    np.testing.assert_allclose(mean, -0.05 * np.outer(d, x), atol=5 * DW_MIN * math.sqrt(31 / REPEATS))


@pytest.mark.engine
def test_counts_of_a_row_are_as_correlated_as_in_the_compiled_device():
    """Cells of one row share its slots: a sum over the row scatters more than independent cells would."""
    x, d, update = torch.full((6,), 0.7), torch.tensor([0.05, 0.02]), UpdateParameters()
    a, b = (counts.sum(2) for counts in (ours(x, d, 0.02, update), compiled(x, d, 0.02, update)))
    # The ratio of two sample variances of 1,500 has a standard error near 5 %.
    np.testing.assert_allclose(a.var(0), b.var(0), rtol=0.25)


@pytest.mark.parametrize("zero", ["x", "d", "lr"])
def test_nothing_fires_without_input_gradient_or_rate(zero):
    x, d = torch.ones(3) * (zero != "x"), torch.ones(2) * (zero != "d")
    assert not ours(x, d, 0.0 if zero == "lr" else 0.1, UpdateParameters()).any()


KINDS = {PulseType.DETERMINISTIC_IMPLICIT: DETERMINISTIC_IMPLICIT, PulseType.MEAN_COUNT: MEAN_COUNT}


@pytest.mark.engine
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"desired_bl": 200},
        {"update_bl_management": False},
        {"update_bl_management": False, "update_management": False},
        {"fixed_bl": False, "update_bl_management": False, "update_management": False},
        {"res": 0.03, "x_res_implicit": 0.1, "d_res_implicit": 0.02},
    ],
)
@pytest.mark.parametrize("lr", [1e-4, 0.002, 0.03, 2.0])
def test_deterministic_trains_fire_what_the_compiled_device_fires(kind, settings, lr):
    generator = torch.Generator().manual_seed(3)
    x, d = torch.randn(9, generator=generator), 0.3 * torch.randn(7, generator=generator)
    update = UpdateParameters(pulse_type=kind, **settings)
    theirs = compiled(x, d, lr, update, repeats=1)[0]
    implicit = kind == PulseType.DETERMINISTIC_IMPLICIT
    train = Train(
        lr, DW_MIN, update.desired_bl, update.fixed_bl, update.update_bl_management,
        update.update_management, KINDS[kind],
        update.x_res_implicit if implicit else update.res, update.d_res_implicit if implicit else update.res,
    )  # fmt: skip
    columns, rows = np.empty(9, np.int64), np.empty(7, np.int64)
    column_shares, row_shares = np.empty(9), np.empty(7)
    n, m, slots = share_sample(x.numpy(), d.numpy(), train, columns, column_shares, rows, row_shares)
    ours = np.zeros((7, 9))
    ours[np.ix_(rows[:n], columns[:m])] = np.floor(np.outer(row_shares[:n], column_shares[:m]) * slots + 0.5)
    ours *= -np.sign(np.outer(d, x))
    # The compiled device computes in single precision: a product within a millionth of a half may round either way.
    assert (np.abs(ours - theirs) > 0).mean() <= 0.02
    assert np.abs(ours - theirs).max() <= 1
    if lr >= 0.002:
        assert np.abs(theirs).sum() > 0


def test_a_sample_that_is_not_finite_fires_nothing():
    for bad in (math.nan, math.inf):
        x, d = torch.tensor([0.5, 0.1, 0.8]), torch.tensor([0.01, -0.04])
        assert ours(x, d, 0.05, UpdateParameters()).any()
        x[1] = bad
        assert not ours(x, d, 0.05, UpdateParameters()).any()


@nb.njit
def _masks(key, p, length, repeats):
    masks, state = np.empty(repeats, np.uint64), np.uint64(key)
    for i in range(repeats):
        state = advance(state)
        masks[i] = bernoulli_mask(bits64(state), p, length)
    return masks


def assert_counts(counts, expected):
    """A chi-squared test with one false alarm in a million; outcomes that are rare count as one."""
    often = expected > 10
    counts, expected = (np.append(values[often], values[~often].sum()) for values in (counts, expected))
    assert counts[expected == 0].sum() == 0
    counts, expected = counts[expected > 0], expected[expected > 0]
    assert stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), max(len(expected) - 1, 1)) > 1e-6


@pytest.mark.parametrize("p", [0.003, 0.1, 0.2, 0.24, 0.26, 0.5, 0.9])
def test_every_mask_of_four_slots_has_its_probability(p):
    """Below and above 1/4, where the way of drawing changes."""
    expected = [p ** k.bit_count() * (1 - p) ** (4 - k.bit_count()) for k in range(16)]
    assert_counts(np.bincount(_masks(5, p, 4, 200_000).astype(int), minlength=16), 200_000 * np.array(expected))


@pytest.mark.parametrize("length", [1, 31, 64])
@pytest.mark.parametrize("p", [1e-6, 1e-3, 0.01, 0.03, 0.5, 0.77, 1 - 1e-6, 1.0, 3.0])
def test_bits_of_a_long_mask_fire_with_the_probability(length, p):
    repeats, q = 50_000, min(p, 1.0)
    masks = _masks(5, p, length, repeats)
    bits = ((masks[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).astype(int)
    assert not bits[:, length:].any()
    for count in bits[:, :length].sum(0):
        assert stats.binomtest(int(count), repeats, q).pvalue > 1e-6 / length
    count_law = repeats * stats.binom.pmf(np.arange(length + 1), length, q)
    assert_counts(np.bincount(bits.sum(1), minlength=length + 1), count_law)


def test_popcount():
    for value in (0, 1, 0xFFFFFFFFFFFFFFFF, 0x8000000000000001, 0x123456789ABCDEF0):
        assert popcount(np.uint64(value)) == value.bit_count()
