"""What pulses do to an array: size of steps, window, counters, and the cycle-to-cycle walk."""

import math

import numpy as np
import pytest
import torch
from aihwkit.simulator.parameters.training import UpdateParameters
from scipy import stats

from vcm_sweep.device import ArraySeeds, CellParameters, Mismatch, Periphery, Spread, Variability, VCMDevice, Walk
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.periphery import ReadMap

SET_V, RESET_V = -0.342, 0.7065
LOG_LOW, LOG_HIGH = math.log(0.06), math.log(1.98974521274400865)


def array(variability=None, out=4, inn=5, seed=1, **device):
    return CellArrays(
        [VCMDevice(variability=variability or Variability(), **device)], out, inn, [ArraySeeds(seed, 2, 3)], 0
    )


def fire(cells, direction, pulses=1, key=5):
    """Exactly ``pulses`` pulses on every cell: probabilities saturate in a train of that length."""
    x = torch.ones(1, 1, cells.in_size)
    d = torch.full((1, 1, cells.out_size), -float(direction))
    update = UpdateParameters(desired_bl=pulses)
    cells.pulse(x, d, [1e3], [update], [key], 0)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("pulses", [1, 8])
def test_every_cell_moves_by_its_own_pulse(reference_cell, direction, pulses):
    spread = {name: Spread(0.1, 0.2) for name in ("N_max", "N_min", "r", "l")}
    cells = array(Variability(d2d=spread, mismatch=Mismatch(0.2, 0.3)))
    cells.program(torch.linspace(-1.4, 1.4, 20).view(1, 4, 5))
    before = cells.log_n.clone()
    fire(cells, direction, pulses)
    v = SET_V if direction > 0 else RESET_V
    for i in range(20):
        values = {name: getattr(cells, f"base_{name}")[0, i].item() for name in spread}
        cell = reference_cell(**values, factor=cells.boost[0, i].item() ** -direction)
        n = math.exp(before[0, i].item())
        # In the window a cell stops at its end.
        ends = [
            min(max(before[0, i].item() + cell.displacement(n, v, pulses * 1e-6 * f), LOG_LOW), LOG_HIGH)
            for f in (0.999, 1, 1.001)
        ]
        got = cells.log_n[0, i].item()
        assert min(ends) - 1e-9 <= got <= max(ends) + 1e-9
        if abs(ends[1] - before[0, i].item()) < 0.2:
            assert got - before[0, i].item() == pytest.approx(ends[1] - before[0, i].item(), rel=1e-3, abs=2e-15)
    torch.testing.assert_close(
        cells.weight.reshape(1, -1).double(), ReadMap().weight(torch.exp(cells.log_n)), rtol=0, atol=3e-6
    )


@pytest.mark.parametrize("direction", [1, -1])
def test_window_stops_and_counters(direction):
    cells = array()
    cells.program(torch.full((1, 4, 5), 1.49 * direction))
    for _ in range(30):
        fire(cells, direction, 31)
    v = SET_V if direction > 0 else RESET_V
    fired, other = cells.counters[0, [0, 1] if direction > 0 else [1, 0]].tolist()
    assert other == 0
    assert fired + cells.counters[0, 3].item() == 30 * 31 * 20
    assert 0 < fired < 30 * 31 * 20
    assert (cells.log_n == (LOG_HIGH if direction > 0 else LOG_LOW)).all()
    assert cells.fraction_at_bound(0) == 1
    torch.testing.assert_close(cells.weight, torch.full_like(cells.weight, 1.5 * direction), rtol=0, atol=1e-5)
    # Every fired pulse costs |V I| times its length, and the read window brackets the current.
    assert cells.counters[0, 2].item() > 0.5e-6 * abs(v) * 1e-5 * fired


def test_counted_pulses_cross_the_window():
    """About 9,900 SET pulses of 1 us from end to end (scipy's quadrature in test_integration)."""
    cells = array(out=1, inn=1)
    cells.program(torch.full((1, 1, 1), -1.5))
    for _ in range(200):
        fire(cells, 1, 64)
    assert cells.counters[0, 0].item() == pytest.approx(9900, abs=3)
    assert cells.counters[0, 3].item() == pytest.approx(200 * 64 - 9900, abs=3)


def test_a_slow_cell_moves_under_one_pulse(reference_cell):
    cells = array(parameters=CellParameters(r=58.5e-9))
    cells.program(torch.full((1, 4, 5), 1.45))
    before = cells.log_n.clone()
    fire(cells, 1)
    exact = reference_cell(r=58.5e-9).displacement(math.exp(before[0, 0].item()), SET_V, 1e-6)
    assert (cells.log_n - before)[0, 0].item() == pytest.approx(exact, rel=1e-3)


def test_without_clamp_the_cell_ends_at_its_own_bound():
    cells = array(periphery=Periphery(-0.6, 0.6, clamped=False), parameters=CellParameters(r=31.5e-9), pulse_s=1.0)
    for _ in range(3):
        fire(cells, -1, 64)
    assert torch.exp(cells.log_n).min().item() == pytest.approx(0.008, rel=1e-5)
    assert (torch.exp(cells.log_n) >= 0.008 * (1 - 1e-6)).all()


def test_program_clips_to_window_and_bounds():
    cells = array(Variability(d2d={"N_max": Spread(0.2, 0.3)}), parameters=CellParameters(N_max=1.0))
    cells.program(torch.full((1, 4, 5), 3.0))
    torch.testing.assert_close(torch.exp(cells.log_n), cells.base_N_max.double(), rtol=1e-12, atol=0)
    cells.program(torch.full((1, 4, 5), -3.0))
    assert (cells.log_n == LOG_LOW).all()
    cells.program(torch.full((1, 4, 5), -0.7))
    torch.testing.assert_close(cells.weight, torch.full_like(cells.weight, -0.7), rtol=0, atol=1e-6)


@pytest.mark.parametrize("m", [-1.0, 0.4])
def test_mismatch_shifts_the_log_ratio_and_keeps_the_speed(m):
    def steps(mean):
        cells = array(Variability(mismatch=Mismatch(mean)), out=1, inn=1, pulse_s=1e-9)
        start = cells.log_n.item()
        moved = []
        for direction in (1, -1):
            cells.program(torch.zeros(1, 1, 1))
            fire(cells, direction)
            moved.append(abs(cells.log_n.item() - start))
        return moved

    (up0, down0), (up, down) = steps(0.0), steps(m)
    assert math.log(down / up) - math.log(down0 / up0) == pytest.approx(m, abs=1e-3)
    assert math.log(up * down / (up0 * down0)) == pytest.approx(0, abs=1e-3)


def test_length_scales_the_speed_inversely():
    cells = array(Variability(d2d={"l": Spread(0.2, 0.3)}), out=10, inn=10, pulse_s=1e-9)
    start = cells.log_n.clone()
    fire(cells, 1)
    moved = (cells.log_n - start) * cells.base_l.double()
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", ["N_max", "N_min", "r", "l"])
def test_direct_walk_is_uniform_after_one_pulse_and_bounded(name):
    s, clip = 0.02, 0.05
    cells = array(Variability(c2c={name: Walk(direct=s, clip=clip)}), out=50, inn=60)
    fire(cells, 1)
    base, walked = getattr(cells, f"base_{name}"), getattr(cells, f"walked_{name}")
    step = (walked / base).double().numpy().ravel() - 1
    assert np.abs(step).max() <= s * (1 + 1e-5)
    assert stats.kstest(step, stats.uniform(-s, 2 * s).cdf).pvalue > 1e-5
    # Not the same number for neighbours.
    assert abs(np.corrcoef(step[:-1], step[1:])[0, 1]) < 5 / math.sqrt(len(step))
    for k in range(20):
        fire(cells, -1 if k % 2 else 1, key=100 + k)
    total = (walked / base).double().numpy().ravel() - 1
    assert np.abs(total).max() <= clip * (1 + 1e-5)
    assert (np.abs(total) > s).any()
    others = {"N_max", "N_min", "r", "l"} - {name}
    assert all(torch.equal(getattr(cells, f"base_{o}"), getattr(cells, f"walked_{o}")) for o in others)


def test_walk_variance_grows_with_the_pulses():
    """Far from the clip the log of a direct walk adds s^2 / 3 of variance per pulse."""
    s = 0.002
    cells = array(Variability(c2c={"l": Walk(direct=s, clip=0.5)}), out=50, inn=60)
    cells.program(torch.full((1, 50, 60), -1.0))
    fire(cells, 1, 31)
    log = torch.log(cells.walked_l / cells.base_l).double()
    assert log.var().item() == pytest.approx(31 * s**2 / 3, rel=5 * math.sqrt(2 / 3000))
    assert abs(log.mean().item()) < 5 * math.sqrt(31 * s**2 / 3 / 3000) + 31 * s**2 / 6


@pytest.mark.parametrize("direction", [1, -1])
def test_slope_walk_scales_with_the_way_covered(direction):
    """p (1 + q ratio U), ratio = (N' - N) / (N_max - N) in SET, (N - N') / (N - N_min) in RESET."""
    cells = array(Variability(c2c={"l": Walk(slope=1.0, clip=0.7)}), out=50, inn=60)
    n = math.exp(cells.log_n[0, 0].item())
    fire(cells, direction)
    after = math.exp(cells.log_n[0, 0].item())
    ratio = (after - n) / (20 - n) if direction > 0 else (n - after) / (n - 0.008)
    step = (cells.walked_l / cells.base_l).double().numpy().ravel() - 1
    # Float32 keeps the parameter to 6e-8 and the ratio is about 1e-4 in SET.
    assert np.abs(step).max() <= ratio * (1 + 1e-3) + 2e-7
    assert step.std() == pytest.approx(ratio / math.sqrt(3), rel=0.05)


def test_skipped_pulses_do_not_walk():
    cells = array(Variability(c2c={"r": Walk(direct=0.05, clip=0.1)}))
    cells.program(torch.full((1, 4, 5), 1.5))
    fire(cells, 1, 31)
    assert torch.equal(cells.walked_r, cells.base_r)
    assert cells.counters[0].tolist() == [0, 0, 0, 31 * 20, 0]


def test_arrays_of_other_seeds_and_layers_differ():
    variability = Variability(d2d={"r": Spread(0.1)})
    device = VCMDevice(variability=variability)
    a, same, seed, layer = (
        CellArrays([device], 4, 5, [ArraySeeds(s, 2, 3)], i).base_r for s, i in ((1, 0), (1, 0), (2, 0), (1, 1))
    )
    assert torch.equal(a, same)
    assert not torch.isclose(a, seed, rtol=1e-6, atol=0).any()
    assert not torch.isclose(a, layer, rtol=1e-6, atol=0).any()


def test_programming_reads_nothing_but_its_tables() -> None:
    """Where the nominal cell is read, a cell's stencil is no place in the table of weights: equal arrays stay equal."""
    varied = VCMDevice(variability=Variability(d2d={"r": Spread(0.1)}))
    target = torch.linspace(-1.4, 1.4, 60).view(1, 6, 10)
    made = []
    for _ in range(4):
        cells = CellArrays([varied], 6, 10, [ArraySeeds(1, 2, 3)], 0)
        cells.program(target)
        made.append(cells.log_n.clone())
    assert all(torch.equal(made[0], other) for other in made[1:])
    reached = varied.map.weight(torch.exp(made[0])).view_as(target)
    torch.testing.assert_close(reached, target.double(), rtol=0, atol=1e-6)
