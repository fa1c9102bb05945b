"""What pulses take in J: |V I| at the middle of the way in ln N, against its integral along the way."""

import math

import numpy as np
import pytest
import torch

from vcm_sweep.device import Spread, Variability

from ..arrays import array, fire, log_n

SET_V, RESET_V = -0.342, 0.7065
PARTS = 32


def energy(cells):
    return cells.counters[0, 2].item()


@pytest.mark.parametrize(("direction", "v"), [(1, SET_V), (-1, RESET_V)])
def test_one_pulse_takes_what_an_independent_integration_finds(reference_cell, direction, v):
    cells = array(model="explicit", out=1, inn=1)
    (x,) = log_n(cells)
    fire(cells, direction)
    cell, n, times = reference_cell(), math.exp(x), np.linspace(0.0, 1e-6, 21)
    power = [abs(v * cell.current(v, cell.after(n, v, t) if t else n)) for t in times]
    # The cells' bounds are in single precision, and a parabola stands for the way: a few 1e-5.
    assert energy(cells) == pytest.approx(np.trapezoid(power, times), rel=1e-4)


@pytest.mark.parametrize("model", ["explicit", "full"])
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("spread", "pulses", "bound"),
    [(None, 4, 2e-4), (Spread(0.08, 0.3), 1, 0.01), (Spread(0.08, 0.3), 4, 0.01), (Spread(1.0, 0.3), 4, 0.08)],
)
def test_an_array_takes_what_its_pulses_take_in_small_parts(model, direction, spread, pulses, bound):
    """The bounds are those of docs/physics.md; cells of +-30 % jump across their whole range within a pulse."""
    found, ways = [], []
    for parts in (1, PARTS):
        different = Variability(d2d={"r": spread} if spread else {})
        cells = array(different, out=60, inn=60, model=model, pulse_s=1e-6 / parts)
        cells.program(torch.empty(1, 60, 60).uniform_(-1.4, 1.4, generator=torch.Generator().manual_seed(3)))
        before = log_n(cells)
        for _ in range(parts):
            fire(cells, direction, pulses)
        found.append(energy(cells))
        ways.append(np.abs(log_n(cells) - before))
    np.testing.assert_allclose(*[way.mean() for way in ways], rtol=0.02)
    assert found[0] == pytest.approx(found[1], rel=bound)
