"""Figures of fresh arrays (asymmetry, levels, temperature) are right, and None where they have no meaning."""

import math

import pytest

from vcm_sweep.device import CellParameters, DeviceError, Spread, StuckCells, Variability, VCMDevice, array_figures
from vcm_sweep.device.array.figures import levels

from ..arrays import array, fire, weights


@pytest.mark.parametrize("device", [{"variability": Variability(stuck=StuckCells(low=1.0))}, {"set_voltage_v": -0.001}])
def test_without_a_step_both_ways_there_is_no_asymmetry(device):
    """None, which is an empty field of the record; a NaN would count as a number in every mean over records."""
    figures = array_figures([array(**device)], 0)
    assert (figures.asymmetry_mean, figures.asymmetry_sd, figures.asymmetry_total) == (None, None, None)
    assert figures.peak_temperature_k > 293


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_the_total_asymmetry_is_that_of_the_sums_of_steps_cell_by_cell(model):
    """The same array twice more, with one SET pulse and with one RESET pulse at every cell."""
    spread, set_once, reset_once = (array(Variability(d2d={"r": Spread(0.05)}), 3, 4, model=model) for _ in range(3))
    fire(set_once, 1)
    fire(reset_once, -1)
    total = math.log(-weights(reset_once).sum() / weights(set_once).sum())
    figures = array_figures([spread], 0)
    assert figures.asymmetry_total == pytest.approx(total, abs=2e-3)
    assert abs(figures.asymmetry_total - figures.asymmetry_mean) > 0.01


def test_cells_that_are_alike_have_the_total_asymmetry_of_one():
    figures = array_figures([array(None, 3, 4)], 0)
    assert figures.asymmetry_total == pytest.approx(figures.asymmetry_mean, rel=1e-12)


def test_levels_from_the_published_read_currents():
    """Read noise of 2 % of the current at mid window, halfway between 18.8906 and 111.860 uA."""
    low, high = 18.8906, 111.860
    expected = (high - low) / (2 * 0.02 * 0.5 * (low + high))
    device = VCMDevice(model="explicit", variability=Variability(read_noise=0.02))
    assert levels(device) == pytest.approx(expected, rel=1e-4)


def test_cells_without_a_rate_are_refused_as_such():
    """At -0.3 V these cells stay cool and slow, and their field is beyond |gamma| = 1: heat is not the reason."""
    cell = CellParameters(r=1e-8, a=1e-9, mu_n=1e-6)
    slow = {"parameters": cell, "set_voltage_v": -0.3, "reset_voltage_v": 0.01, "method": "direct"}
    with pytest.raises(DeviceError, match=r"1 of 1 cells .*no rate \(\|gamma\| >= 1\).* on_invalid = 'record'"):
        array_figures([array(**slow, on_invalid="error")], 0)
    assert array_figures([array(**slow)], 0).frac_outside_validity == 1
