"""Targets, pulse errors, windows, write errors and stuck cells against their formulas."""

import math

import pytest
import torch
from scipy import stats

from vcm_sweep.device import DeviceError, PulseError, Spread, StuckCells, TargetWalk, Window, WriteError

COUNT = 100_000
FARTHEST = math.sqrt(math.log(2e9) / (2 * COUNT))


def _generator(seed=1):
    return torch.Generator().manual_seed(seed)


def test_targets_lie_around_the_cells_own_value():
    own = torch.full((COUNT,), 40e-9, dtype=torch.float64)
    drawn = TargetWalk(0.1, 0.15).draw(own, _generator()).numpy() / 40e-9
    assert stats.kstest(drawn, stats.truncnorm(-1.5, 1.5, 1.0, 0.1).cdf).statistic < FARTHEST


def test_pulses_differ_in_voltage_and_length_independently():
    error = PulseError(amplitude=0.02, width=0.1, clip=2.0)
    voltage, length = (values.numpy() for values in error.draw(COUNT, _generator()))
    for values, sigma, name in ((voltage, 0.02, "amplitude"), (length, 0.1, "width")):
        assert stats.kstest(values, stats.truncnorm(-2, 2, 1.0, sigma).cdf).statistic < FARTHEST
        low, high = error.limits(name)
        assert (low, high) == pytest.approx((1 - 2 * sigma, 1 + 2 * sigma))
        assert low <= values.min() <= values.max() <= high
    assert abs(stats.spearmanr(voltage, length).statistic) < 5 / math.sqrt(COUNT)
    assert (PulseError(width=0.1).draw(5, _generator())[0] == 1).all()


def test_each_cell_has_its_own_window_around_the_nominal_one():
    low, high = Window(Spread(0.1, 0.3), Spread(0.05, 0.1, "uniform")).draw(-1.5, 1.2, COUNT, _generator())
    assert stats.kstest(low.numpy(), stats.truncnorm(-3, 3, -1.5, 0.15).cdf).statistic < FARTHEST
    half = 1.2 * 0.05 * math.sqrt(3)
    assert stats.kstest(high.numpy(), stats.uniform(1.2 - half, 2 * half).cdf).statistic < FARTHEST
    assert [end.tolist() for end in Window(Spread(0.0)).draw(-1.5, 1.2, COUNT, _generator())] == [[-1.5], [1.2]]
    assert Window(Spread(0.1, 0.2), Spread(0.1, 0.3)).limits(-1.5, 1.2) == pytest.approx((-1.8, 1.56))
    with pytest.raises(DeviceError, match=r"w_min of a cell can be 1.3 .* 1.2"):
        Window(w_min=Spread(0.1, 0.3)).limits(1.0, 1.2)


def test_write_errors_are_normal_in_parts_of_the_window():
    drawn = WriteError(0.02).draw((COUNT // 100, 100), _generator()).double().numpy().ravel()
    assert stats.kstest(drawn, stats.norm(0, 0.02).cdf).statistic < FARTHEST


def test_stuck_cells_have_their_shares():
    drawn = StuckCells(low=0.02, high=0.05).draw(COUNT, _generator())
    for value, share in ((-1, 0.02), (1, 0.05)):
        found = (drawn == value).double().mean().item()
        assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / COUNT))
    assert not StuckCells().draw(100, _generator()).any()
    assert (StuckCells(low=0.5, high=0.5).draw(1000, _generator()) != 0).all()


def test_stuck_cells_of_a_mask_are_its_cells():
    mask = torch.zeros(3, 4, dtype=torch.int8)
    mask[1, 2], mask[0, 0] = 1, -1
    stuck = StuckCells(mask=mask)
    assert stuck.active
    assert torch.equal(stuck.draw(12, _generator()), mask.view(-1))
    stuck.draw(12, _generator()).zero_()
    assert mask.any(), "the array works on a copy"
    with pytest.raises(DeviceError, match="12 cells and the array 10"):
        stuck.draw(10, _generator())


def test_stuck_cells_that_say_the_same_are_equal():
    """A restored layer keeps its cells only where its device equals the one that was saved."""
    mask = torch.tensor([[0, 1], [-1, 0]], dtype=torch.int8)
    assert StuckCells(0.1) == StuckCells(0.1)
    assert StuckCells(0.1) != StuckCells(high=0.1)
    assert StuckCells(mask=mask) == StuckCells(mask=mask.clone())
    assert StuckCells(mask=mask) != StuckCells(mask=mask.T.clone())
    assert StuckCells(mask=mask) != StuckCells(mask=mask.view(4))
    assert len({StuckCells(mask=mask), StuckCells(mask=mask.clone()), StuckCells()}) == 2


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: PulseError(amplitude=0.31), "amplitude"),
        (lambda: PulseError(width=0.3, clip=8.0), "width"),
        (lambda: PulseError(clip=0.0), "clip"),
        (lambda: WriteError(-0.1), "sigma"),
        (lambda: WriteError(math.inf), "sigma"),
        (lambda: StuckCells(0.6, 0.6), "1.2"),
        (lambda: StuckCells(low=0.1, mask=torch.zeros(3, dtype=torch.int8)), "exclude"),
        (lambda: StuckCells(mask=torch.zeros(3)), "int8"),
        (lambda: StuckCells(mask=torch.full((3,), 2, dtype=torch.int8)), "-1, 0 and 1"),
        (lambda: Window(w_min=0.1), "window.w_min"),
    ],
)
def test_wrong_values_are_refused_in_one_line(build, word):
    with pytest.raises(DeviceError, match=word) as caught:
        build()
    assert "\n" not in str(caught.value)
