"""What changes from pulse to pulse with the full model, walks, targets and pulse errors, against the reference."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from vcm_sweep.device import (
    CellParameters,
    Periphery,
    PulseError,
    Spread,
    StuckCells,
    TargetWalk,
    Variability,
    Walk,
    WriteError,
)

from ..arrays import array, fire, log_n, own, put, weights
from ..reference import V_RESET, V_SET, reference_displacement, reference_rate, reference_weight

VOLTS, BOUND = {1: V_SET, -1: V_RESET}, {1: 20.0, -1: 0.008}
LOG_LOW, LOG_HIGH = math.log(0.06), math.log(1.98974521274400865)


@pytest.mark.parametrize("name", ["r", "l"])
@pytest.mark.parametrize("method", ["tabulated", "direct"])
def test_a_walk_changes_the_weight_at_fixed_n(name, method):
    cells = array(Variability(c2c={name: Walk(direct=0.05, clip=0.2)}), 6, 6, model="full", method=method)
    cells.program(torch.full((1, 6, 6), -1.0))
    fire(cells, 1, 3)
    n = np.exp(log_n(cells))
    assert own(cells, name)[name].std() / own(cells, name, kind="base")[name].mean() > 0.03
    np.testing.assert_allclose(weights(cells), reference_weight(n, own(cells, name)), atol=1.5e-4)
    assert np.abs(weights(cells) - reference_weight(n)).max() > 0.01


@pytest.mark.parametrize("direction", [1, -1])
def test_a_cell_outside_its_window_moves_only_inward(direction):
    cells = array(Variability(c2c={"r": Walk(direct=1e-6, clip=0.1)}), 1, 2, model="full")
    cells.program(torch.full((1, 1, 2), 1.5 * direction))
    cells.walked_r *= 1 + 0.03 * direction
    put(cells, log_n(cells))
    outside = weights(cells)
    assert (outside * direction > 1.52).all()
    before = log_n(cells)
    fire(cells, direction, 31)
    assert (log_n(cells) == before).all()
    assert cells.counters[0].tolist() == [0, 0, 0, 62, 0]
    fire(cells, -direction, 31)
    assert ((log_n(cells) - before) * direction < 0).all()
    assert cells.counters[0, 3] == 62


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("change", [{"c2c": {"r": Walk(1e-6)}}, {"targets": {"r": TargetWalk(1e-6)}}])
def test_no_pulse_carries_a_cell_past_its_window(direction, method, change):
    """Pulses of a second, on cells of 40 to 50 nm from everywhere in the window."""
    variability = Variability(d2d={"r": Spread(0.05, 0.1)}, **change)
    cells = array(variability, 6, 6, model="full", method=method, pulse_s=1.0)
    cells.program(torch.linspace(-1.49, 1.49, 36).view(1, 6, 6))
    fire(cells, direction)
    np.testing.assert_allclose(weights(cells), 1.5 * direction, atol=1e-4)
    np.testing.assert_allclose(reference_weight(np.exp(log_n(cells)), own(cells, "r")), 1.5 * direction, atol=2e-4)


def _moved(old, target, n_old, n, bound):
    """r or l when N has come from n_old to n: Bengel et al. (21-24), for cells that did not start at their bound."""
    return old + (target - old) * (n - n_old) / (bound - n_old)


def _seconds(before, after, direction, old, targets, rate):
    """Time of a pulse from x before to after, r and l moving with N: Gauss-Legendre of dx / rate, cell by cell."""
    node, weight = np.polynomial.legendre.leggauss(12)
    panels = 12
    t = ((np.arange(panels)[:, None] + (node + 1) / 2) / panels).ravel()
    w = np.tile(weight / 2 / panels, panels)
    n = np.exp(before[:, None] + (after - before)[:, None] * t)
    start = np.exp(before)[:, None]
    cells = {name: _moved(old[name][:, None], targets[name][:, None], start, n, BOUND[direction]) for name in targets}
    return (n / np.abs(rate(VOLTS[direction], n, cells)) * w).sum(1) * np.abs(after - before)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("model", ["full", "explicit"])
def test_r_and_l_move_with_n_during_a_pulse(direction, method, model, reference_cell):
    """Bengel et al. (21-24), through avalanches too."""
    variability = Variability(targets={"r": TargetWalk(0.2, 0.25), "l": TargetWalk(0.2, 0.25)})
    cells = array(
        variability, 6, 6, model=model, method=method, parameters=CellParameters(r=39e-9),
        periphery=Periphery(clamped=False),
    )  # fmt: skip
    put(cells, np.random.default_rng(2).uniform(LOG_LOW, LOG_HIGH, 36))
    before, old = log_n(cells), own(cells, "r", "l", kind="base")
    fire(cells, direction)
    after, targets = log_n(cells), {name: cells.targets[0, i].double().numpy() for i, name in enumerate("rl")}
    assert np.abs(after - before).max() > 0.4
    assert all(np.std(targets[name] / old[name]) > 0.08 for name in "rl")
    for name in "rl":
        expected = _moved(old[name], targets[name], np.exp(before), np.exp(after), BOUND[direction])
        np.testing.assert_allclose(own(cells, name)[name], expected, rtol=2e-7)

    def explicit_rate(v, n, p):
        out = np.empty_like(n)
        for i in np.ndindex(n.shape):
            out[i] = reference_cell(r=p["r"][i], l=p["l"][i]).rate(v, n[i])
        return out

    seconds = _seconds(before, after, direction, old, targets, reference_rate if model == "full" else explicit_rate)
    np.testing.assert_allclose(seconds, 1e-6, rtol=1e-3)


def test_targets_are_new_for_every_pulse_or_for_every_polarity():
    each = Variability(targets={"r": TargetWalk(0.05, 0.1), "l": TargetWalk(0.05, 0.1, "polarity")})
    cells = array(each, 20, 20, model="full")
    fire(cells, 1)
    r, length = cells.targets[0].clone()
    for values, base in ((r, cells.base_r[0]), (length, cells.base_l[0])):
        law = stats.truncnorm(-2, 2, 1.0, 0.05).cdf
        assert stats.kstest((values / base).double().numpy(), law).pvalue > 1e-6
    fire(cells, 1, 5, key=6)
    assert (cells.targets[0, 0] != r).all()
    assert torch.equal(cells.targets[0, 1], length)
    fire(cells, -1, key=7)
    assert (cells.targets[0, 1] != length).all()


@pytest.mark.parametrize("direction", [1, -1])
def test_pulse_errors_spread_the_step_as_their_law_says(direction):
    """Mean and standard deviation of the way over the truncated normals of voltage and length, by quadrature."""
    error = PulseError(amplitude=0.01, width=0.1, clip=2.0)
    cells = array(Variability(pulse=error), 50, 50, model="full")
    before = log_n(cells)
    fire(cells, direction)
    ways = log_n(cells) - before
    z, weight = np.polynomial.legendre.leggauss(8)
    weight = weight * 2 * stats.truncnorm(-2, 2).pdf(2 * z)
    n, v = math.exp(before[0]), VOLTS[direction]
    volts, seconds = v * (1 + 0.02 * z), 1e-6 * (1 + 0.2 * z)
    way = np.array([[reference_displacement(n, volt, t, rtol=1e-6) for t in seconds] for volt in volts])
    both = np.outer(weight, weight)
    assert both.sum() == pytest.approx(1, abs=1e-5)
    mean = (both * way).sum()
    sd = math.sqrt((both * (way - mean) ** 2).sum())
    fourth = (both * (way - mean) ** 4).sum()
    assert sd > 0.1 * abs(mean)
    assert ways.mean() == pytest.approx(mean, abs=5 * sd / 50)
    assert ways.var() == pytest.approx(sd**2, abs=5 * math.sqrt((fourth - sd**4) / 2500))
    assert cells.counters[0, 2] > 0


def test_energy_counts_a_pulses_own_length():
    """The same cells and keys, the length's error on and off: energies differ as the lengths do."""
    plain = array(Variability(c2c={"N_max": Walk(1e-6)}), 1, 1, model="full")
    noisy = array(Variability(pulse=PulseError(width=0.3, clip=3.0)), 1, 1, model="full")
    fire(plain, 1)
    reference = plain.counters[0, 2].item()
    ratios = []
    for key in range(40):
        start = noisy.counters[0, 2].item()
        noisy.program(torch.zeros(1, 1, 1))
        before = log_n(noisy)[0]
        fire(noisy, 1, key=key)
        way = log_n(noisy)[0] - before
        ratios.append(((noisy.counters[0, 2].item() - start) / reference, way))
    energy, way = np.array(ratios).T
    assert energy.std() > 0.2
    nominal = reference_displacement(0.3241, V_SET, 1e-6)
    np.testing.assert_allclose(energy, way / nominal, rtol=0.05)


@pytest.mark.parametrize("model", ["explicit", "full"])
@pytest.mark.parametrize("shape", [(1, 1), (20, 30)])
def test_stuck_cells_never_move_and_read_the_end_of_the_window(model, shape):
    mask = torch.zeros(shape, dtype=torch.int8)
    mask[0, 0], mask[-1, -1] = -1, 1
    variability = Variability(d2d={"r": Spread(0.02, 0.05)}, c2c={"r": Walk(0.01)}, stuck=StuckCells(mask=mask))
    cells = array(variability, *shape, model=model)
    stuck = mask.reshape(-1).numpy()
    cells.program(torch.full((1, *shape), 0.2))
    for key, direction in enumerate((1, -1, 1, 1)):
        fire(cells, direction, 5, key=key)
        np.testing.assert_allclose(weights(cells)[stuck != 0], 1.5 * stuck[stuck != 0], atol=1e-5)
    assert (np.abs(weights(cells)[stuck == 0]) < 1.4).all()
    assert cells.counters[0, 3] == 20 * (stuck != 0).sum()
    assert len(cells.asymmetry(0)) == (stuck == 0).sum()


def test_written_weights_miss_by_the_write_error():
    cells = array(Variability(write=WriteError(0.02)), 50, 60)
    assert weights(cells) == pytest.approx(0, abs=1e-6), "a fresh array is at 0"
    cells.program(torch.full((1, 50, 60), 0.3))
    first = weights(cells) - 0.3
    assert stats.kstest(first, stats.norm(0, 0.02 * 3).cdf).pvalue > 1e-6
    cells.program(torch.full((1, 50, 60), 0.3))
    assert abs(np.corrcoef(first, weights(cells) - 0.3)[0, 1]) < 5 / math.sqrt(3000)
    cells.program(torch.full((1, 50, 60), 1.5))
    assert weights(cells).max() <= 1.5 + 1e-6
    cells.program(torch.full((1, 50, 60), 0.3), verify=False)
    assert weights(cells) == pytest.approx(0.3, abs=1e-6)


def test_a_restored_array_goes_on_with_its_own_write_errors():
    straight, resumed = (array(Variability(write=WriteError(0.02))) for _ in range(2))
    target = torch.full((1, 4, 5), 0.3)
    straight.program(target)
    resumed.load_state(0, straight.state(0))
    straight.program(target)
    resumed.program(target)
    assert torch.equal(straight.weight, resumed.weight)
