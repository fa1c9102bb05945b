"""A current that jumps in N inside the window is refused, by how much and where an independent solver says."""

import re

import numpy as np
import pytest

from vcm_sweep.device import ArraySeeds, CellParameters, DeviceError, Spread, Variability, VCMDevice
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.tables.building import build_tables
from vcm_sweep.device.tables.jumps import refuse_nominal_jumps

from ..reference import DEFAULTS, reference_current


def test_a_jump_is_found_where_the_reference_jumps():
    barrier = {"phi_Bn0": 0.30, "phi_n": 0.20}
    with pytest.raises(DeviceError, match="jumps by a factor") as error:
        refuse_nominal_jumps(VCMDevice(model="full", parameters=CellParameters(**barrier)))
    factor, at = map(float, re.search(r"factor ([\d.e+]+) at N = ([\d.]+)", str(error.value)).groups())
    n = at * np.array([0.999, 1.001])
    cells = {name: np.full(2, value) for name, value in (DEFAULTS | barrier).items()}
    below, above = reference_current(np.full(2, 0.2), n, cells)
    assert abs(np.log(above / below)) == pytest.approx(np.log(factor), rel=0.02)


@pytest.mark.parametrize("barrier", [{}, {"phi_Bn0": 0.25}, {"phi_Bn0": 0.30}])
def test_smooth_currents_are_let_through(barrier):
    refuse_nominal_jumps(VCMDevice(model="full", parameters=CellParameters(**barrier)))


@pytest.mark.parametrize("build", [build_tables, lambda device: CellArrays([device], 2, 2, [ArraySeeds(1, 2, 3)], 0)])
def test_a_jump_at_the_end_of_a_spread_is_refused(build):
    parameters = CellParameters(phi_Bn0=0.25, phi_n=0.15)
    refuse_nominal_jumps(VCMDevice(model="full", parameters=parameters))
    varied = Variability(d2d={"phi_n": Spread(0.05, clip=0.2)})
    with pytest.raises(DeviceError, match="jumps by a factor"):
        build(VCMDevice(model="full", parameters=parameters, variability=varied))
