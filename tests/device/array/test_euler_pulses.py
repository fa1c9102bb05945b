"""Pulses of explicit Euler steps, against plain loops over the published equations.

The loop follows rpu_JART_v1b_device.cpp of IBM/aihwkit, read and not copied: 100 steps of 10 ns without a bound, then
the smaller of N and the upper end, which is that end where N is no number, then the larger of that and the lower end.
"""

import math

import numpy as np
import pytest
import torch

from vcm_sweep.device import (
    ArraySeeds,
    Intervention,
    Mismatch,
    Periphery,
    PulseError,
    Spread,
    TargetWalk,
    Variability,
    VCMDevice,
    Walk,
    integrate,
)
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.errors import DeviceError

from ..arrays import array, fire, log_n, own, put

SPREAD = Variability(d2d={"r": Spread(1.0, 0.3, "clipped"), "l": Spread(0.1, 0.3)})
FREE = {"model": "explicit", "periphery": Periphery(-0.6, 0.6, clamped=False)}
N_MAX, N_MIN = 20.0, 0.008


def _current(v, n):
    """The fitted current, Ntinas et al. 2022, section 4 of the notes; A."""
    if v > 0:
        g, h = 4.84e-3 * (1 - math.exp(-0.1353 * v)), 5.548 + 6.8648 * v + 51.586 * math.exp(-0.36 * v)
        return g / (1 + h * (n / 0.008) ** -1.054) ** (1 / 1.0526)
    a0, a2, a3 = 4.81951e-5, 1.03685, 0.34567
    alpha = (a0 * math.exp(-a2 / a3) + a0) / (1 + math.exp(-(v + a2) / a3)) - a0
    beta = 4.2383e-5 * (1 - math.exp(-v)) - 7.0526e-4 * v
    c = 4.2125 * math.exp(-v / 1.4134) + 2.8646 * v - 4.004
    d = 7.4235 * math.exp(-v / 4.0585) + 1.4524 * v - 6.6103
    f = 6.326e-4 + (1.4711 - 6.326e-4) / (1 + (-v / 0.5199) ** 1.561)
    return -alpha - beta / (1 + (c / n) ** d) ** f


def _rate(v, n, r, length):
    """dN/dt in 1e26/m3/s with F as it stands, also below 0; numpy's powers of negative N are NaN as C's are."""
    i = _current(v, n)
    area = math.pi * r**2
    drop = v - i * (650 + 719.2437 + 719.2437**2 * 3.92e-3 * 90471.47 * i**2)
    kelvin = 293 + i * drop * 15.72e6 * (45e-9 / r) ** 2 * (0.27 if v > 0 else 1.0)
    field = drop / 3e-9 if v > 0 else i / (2 * 1.602e-19 * 4e-6 * 1e26 * area * n)
    gamma = 2 * 0.25e-9 * field / (1.35 * math.pi)
    mean, apart = 1.35 * (np.sqrt(1 - gamma**2) + gamma * np.arcsin(gamma)), 1.35 * gamma * math.pi / 2
    kt = 8.61860174781523e-5 * kelvin
    bound = 1 - (n / N_MAX) ** 10 if v < 0 else 1 - (N_MIN / n) ** 10
    hops = np.exp(-(mean - apart) / kt) - np.exp(-(mean + apart) / kt)
    return -(20 + n) / 2 * 0.25e-9 * 2e13 * bound * hops / length


def _published(n, v, r, length, low=N_MIN, high=N_MAX):
    n = n.copy()
    with np.errstate(all="ignore"):
        for _ in range(100):
            n = n + _rate(v, n, r, length) * 1e-8
        return np.maximum(np.where(n < high, n, high), low)


def _tensor(values):
    return torch.as_tensor(values)


@pytest.mark.parametrize(("direction", "volts", "thrown"), [(1, -0.342, 0), (-1, 0.7065, 20)])
def test_pulses_as_published_are_those_of_a_plain_loop(direction, volts, thrown):
    """Cells of 31.5 to 58.5 nm at every N: the fast ones that a RESET throws to N_max, to the last of them."""
    made = array(SPREAD, 30, 30, method="as-published", **FREE)
    put(made, np.random.default_rng(1).uniform(math.log(0.009), math.log(19.0), 900))
    before, cells = log_n(made), own(made, "r", "l")
    expected = np.log(_published(np.exp(before), volts, cells["r"], cells["l"]))
    fire(made, direction)
    away = (expected - before) * direction < 0
    assert away.sum() >= thrown
    # A cell at the edge of being thrown may go either way by a rounding; there are none here.
    np.testing.assert_allclose(log_n(made), expected, rtol=0, atol=1e-6 * np.abs(expected - before).max())
    moved = np.abs(expected - before) > 1e-3
    np.testing.assert_allclose((log_n(made) - before)[moved], (expected - before)[moved], rtol=1e-5)


@pytest.mark.parametrize(("direction", "volts"), [(1, -0.342), (-1, 0.7065)])
def test_euler_keeps_n_within_its_bounds_at_every_step(direction, volts):
    made = array(SPREAD, 30, 30, method="euler", **FREE)
    put(made, np.random.default_rng(2).uniform(math.log(0.009), math.log(19.0), 900))
    before, parameters = log_n(made), own(made, "r", "l")
    nominal = VCMDevice().parameters
    fire(made, direction)
    cell = nominal.replace_unchecked(**{name: _tensor(values) for name, values in parameters.items()})
    expected = integrate(_tensor(np.exp(before)), volts, 1e-6, cell, method="euler").log().numpy()
    assert ((expected - before) * direction >= 0).all()
    np.testing.assert_allclose(log_n(made), expected, rtol=0, atol=1e-6)


def test_many_pulses_one_after_the_other_are_each_a_pulse():
    """Five pulses on a cell are not one longer pulse, and a window stops both."""
    made = array(SPREAD, 20, 20, method="as-published", model="explicit")
    put(made, np.random.default_rng(3).uniform(math.log(0.07), math.log(1.9), 400))
    n, cells = np.exp(log_n(made)), own(made, "r", "l")
    low, high = 0.06, 1.98974521274400865
    for _ in range(5):
        n = np.where(n > low, _published(n, 0.7065, cells["r"], cells["l"], low, high), n)
    fire(made, -1, pulses=5)
    np.testing.assert_allclose(log_n(made), np.log(n), rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", [1, -1])
def test_nominal_cells_move_as_with_exact_pulses_to_half_a_thousandth(direction):
    """At 45 nm the steps are short: section 7 of the notes has 4e-4."""
    ways = []
    for method in ("direct", "euler", "as-published"):
        made = array(None, 10, 10, method=method, model="explicit")
        put(made, np.linspace(math.log(0.07), math.log(1.9), 100))
        before = log_n(made)
        fire(made, direction)
        ways.append(log_n(made) - before)
    np.testing.assert_allclose(ways[1], ways[0], rtol=5e-4)
    np.testing.assert_array_equal(ways[1], ways[2])
    assert np.abs(ways[1] / ways[0] - 1).max() > 1e-5


@pytest.mark.parametrize("method", ["euler", "as-published"])
def test_a_cell_moves_alike_in_any_company_and_with_walks(method):
    """Of a stack of one and of two; the pulses' own noise comes from the cell's stream."""
    noisy = Variability(d2d={"r": Spread(0.2, 0.3)}, c2c={"r": Walk(direct=0.1, clip=0.2)})
    device = VCMDevice(variability=noisy, method=method, **FREE)
    alone = CellArrays([device], 6, 7, [ArraySeeds(1, 2, 3)], 0)
    beside = CellArrays([VCMDevice(method=method, **FREE), device], 6, 7, [ArraySeeds(4, 5, 6), ArraySeeds(1, 2, 3)], 0)
    fire(alone, -1, pulses=3)
    fire(beside, -1, pulses=3)
    np.testing.assert_array_equal(alone.log_n[0].numpy(), beside.log_n[1].numpy())


def test_the_asymmetry_of_cells_is_that_of_their_pulses():
    """Steps at w = 0 are steps as published; cells that a RESET throws to N_max, which do not go back, have none."""
    thin = Variability(d2d={"r": Spread(1.0, 0.3, "clipped")})
    exact, published = (array(thin, 20, 20, method=method, **FREE) for method in ("direct", "as-published"))
    up, down = published.steps(0)
    weight = published.weight[0].reshape(-1).clone()
    np.testing.assert_allclose(weight, 0, atol=1e-6)
    n, cells = np.exp(log_n(published)), own(published, "r")
    higher, lower = (_published(n, v, cells["r"], 0.4e-9) for v in (-0.342, 0.7065))
    back = lower < n
    assert 0.3 < (~back).mean() < 0.5
    read = published.devices[0].map
    moved = [(read.weight(_tensor(end)) - read.weight(_tensor(n))).numpy()[back] for end in (higher, lower)]
    np.testing.assert_allclose(up, moved[0], rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(down, -moved[1], rtol=1e-3, atol=1e-7)
    assert len(exact.steps(0)[0]) == 400


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "full"}, "model = 'explicit'"),
        ({"pulse_s": 1e-9}, "pulse_s from 1e-08 to 1e-05"),
        ({"pulse_s": 1e-3}, "makes 100000 of them"),
        ({"variability": Variability(targets={"r": TargetWalk(0.1)})}, "targets of r and l"),
        ({"intervention": Intervention("matched")}, "an intervention"),
    ],
)
def test_what_euler_steps_do_not_suit_is_refused(given, said):
    with pytest.raises(DeviceError, match=said):
        VCMDevice(method="as-published", **given)


@pytest.mark.parametrize("method", ["euler", "as-published"])
@pytest.mark.parametrize("direction", [1, -1])
def test_errors_of_pulses_and_their_energy_are_those_of_exact_pulses(method, direction):
    """At 45 nm, where both kinds of pulses agree, with each pulse's own voltage and length."""
    found = {}
    for how in ("direct", method):
        made = array(Variability(pulse=PulseError(amplitude=0.01, width=0.2)), 10, 10, method=how, **FREE)
        put(made, np.linspace(math.log(0.07), math.log(1.9), 100))
        before = log_n(made)
        fire(made, direction, pulses=3)
        found[how] = log_n(made) - before, made.counters[0, 2].item()
    np.testing.assert_allclose(found[method][0], found["direct"][0], rtol=5e-3)
    assert found[method][1] == pytest.approx(found["direct"][1], rel=1e-3)
    assert found[method][1] > 0


def test_a_mismatch_acts_on_the_steps_too():
    ways = []
    for mean in (0.0, 0.5):
        made = array(Variability(mismatch=Mismatch(mean=mean)), 4, 4, method="euler", **FREE)
        before = log_n(made)
        fire(made, 1)
        ways.append((log_n(made) - before).mean())
    assert ways[1] / ways[0] == pytest.approx(math.exp(-0.25), rel=0.01)
