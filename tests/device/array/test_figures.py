"""Figures of fresh arrays (asymmetry, levels, temperature) are right, and None where they have no meaning."""

import pytest

from vcm_sweep.device import CellParameters, DeviceError, StuckCells, Variability, VCMDevice, array_figures
from vcm_sweep.device.array.figures import levels

from ..arrays import array


@pytest.mark.parametrize("device", [{"variability": Variability(stuck=StuckCells(low=1.0))}, {"set_voltage_v": -0.001}])
def test_without_a_step_both_ways_there_is_no_asymmetry(device):
    """None, which is an empty field of the record; a NaN would count as a number in every mean over records."""
    figures = array_figures([array(**device)], 0)
    assert (figures.asymmetry_mean, figures.asymmetry_sd) == (None, None)
    assert figures.peak_temperature_k > 293


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
