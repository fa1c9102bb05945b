"""Cells are the same in any number of threads, and their figures are those of all cells."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import Mismatch, Spread, StuckCells, Variability, VCMDevice, Walk, Window
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.seeds import ArraySeeds

from ..arrays import array

SPREAD = Spread(sigma=0.04)
DEVICES = [
    VCMDevice(),
    VCMDevice(model="full", variability=Variability(d2d={"r": SPREAD, "N_max": SPREAD}, stuck=StuckCells(low=0.1))),
    VCMDevice(variability=Variability(window=Window(w_max=SPREAD), mismatch=Mismatch(sigma=0.2))),
    VCMDevice(model="full", variability=Variability(d2d={"l": SPREAD}, c2c={"r": Walk(direct=0.01)})),
]


@pytest.fixture
def threads():
    """Sets torch's number of threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_cells_are_made_bit_by_bit_alike_in_any_number_of_threads(threads):
    """Of devices of all kinds in one stack, and more trials than threads."""
    made = []
    for count in (1, 3):
        threads(count)
        cells = CellArrays(DEVICES, 20, 30, [ArraySeeds(k, 2, 3) for k in range(len(DEVICES))], 0)
        cells.program(torch.linspace(-1.2, 1.2, 600).reshape(1, 20, 30).expand(len(DEVICES), -1, -1))
        made.append(dict(cells.named_buffers()))
    for name, values in made[0].items():
        assert torch.equal(values, made[1][name]), name


def test_an_error_in_a_thread_is_raised(threads):
    """And not lost with the thread."""
    threads(2)
    cells = CellArrays(DEVICES[:2], 2, 3, [ArraySeeds(k, 2, 3) for k in range(2)], 0)
    cells._physics[1] = None
    with pytest.raises(Exception, match="NoneType"):
        cells.program(torch.zeros(2, 2, 3))


@pytest.mark.parametrize("device", DEVICES[1:], ids=["spread", "mismatch", "walk"])
def test_steps_of_some_cells_are_those_among_all(device):
    """Found in other company, a cell steps as it does among all."""
    cells = CellArrays([device], 40, 40, [ArraySeeds(1, 2, 3)], 0)
    every = np.column_stack([values.numpy() for values in cells.steps(0, 1600)])
    some = np.column_stack([values.numpy() for values in cells.steps(0, 100)])
    assert len(some) > 50
    nearest = np.abs(every[None] - some[:, None]).max(2).min(1)
    assert nearest.max() < 1e-9 * np.abs(some).min()


def test_cells_that_are_alike_have_one_step_for_each():
    """Also where walks have given every cell a place of its own for what is the same in all."""
    walk = Variability(c2c={"r": Walk(direct=0.01)})
    (up, down), (one, other) = array(walk, 10, 10).steps(0), array(None, 10, 10).steps(0)
    assert len(up) == len(one) == 100
    assert len(torch.unique(up)) == len(torch.unique(down)) == 1
    torch.testing.assert_close((up, down), (one, other), rtol=1e-3, atol=0)
