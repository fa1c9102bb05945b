"""The full model against tests/device/reference.py, which uses scipy and none of our code, and published numbers."""

import numpy as np
import pytest
import torch

from vcm_sweep.device import CellParameters, current, integrate, rate, temperature

from ..reference import (
    DEFAULTS,
    N_HIGH,
    N_LOW,
    PULSE_S,
    V_READ,
    V_RESET,
    V_SET,
    bracket,
    reference_concentration,
    reference_current,
    reference_displacement,
    reference_pulse,
    reference_rate,
    reference_temperature,
    reference_time,
    reference_weight,
)
from ..reference import Problem as ReferenceProblem

# How far a study moves each parameter about its default, within section 3's allowed range.
STUDY = {
    "T_0": (273.0, 373.0), "eps": (13.6, 20.4), "eps_phiB": (4.4, 6.6), "phi_Bn0": (0.135, 0.234),
    "phi_n": (0.1, 0.13), "mu_n": (2.8e-6, 5.2e-6), "N_max": (20.0, 26.0), "N_min": (0.0056, 0.0104),
    "N_plug": (14.0, 26.0), "a": (0.2e-9, 0.3e-9), "nu_0": (1.4e13, 2.6e13), "dW_A": (1.2, 1.48),
    "R_th0": (12.6e6, 18.9e6), "r": (31.5e-9, 58.5e-9), "r_nominal": (40.5e-9, 49.5e-9), "l_cell": (2.4e-9, 3.6e-9),
    "l": (0.28e-9, 0.52e-9), "R_theff_scaling": (0.19, 0.35), "R_TiOx": (455.0, 845.0), "R_0": (500.0, 940.0),
    "R_th_line": (63e3, 118e3), "alpha_line": (2.7e-3, 5.1e-3),
}  # fmt: skip
# Section 3's ranges; where one side is open, well past anything a study asks for.
ALLOWED = {
    "T_0": (200.0, 500.0), "eps": (10.0, 25.0), "eps_phiB": (2.0, 30.0), "phi_Bn0": (0.1, 0.5), "phi_n": (0.1, 0.3),
    "mu_n": (1e-6, 1e-5), "N_plug": (0.001, 100.0), "a": (0.1e-9, 1e-9), "nu_0": (1e10, 1e14), "dW_A": (0.8, 1.5),
    "R_th0": (1e6, 20e6), "r": (5e-9, 100e-9), "l_cell": (2e-9, 5e-9), "R_theff_scaling": (0.1, 1.0),
    "R_TiOx": (0.0, 5000.0), "R_0": (0.0, 2000.0), "R_th_line": (0.0, 3e5), "alpha_line": (0.0, 1e-2),
}  # fmt: skip


def log_uniform(rng, low, high, count):
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def study_cells(rng, count):
    return {name: rng.uniform(*span, count) for name, span in STUDY.items()}


def tensors(cells):
    return CellParameters(**{name: torch.tensor(values) for name, values in cells.items()})


def voltages(rng, count):
    """Up to 1 V of either sign, a third of them small, and the strongest SET itself."""
    size = np.where(rng.random(count) < 0.3, log_uniform(rng, 1e-6, 0.05, count), rng.uniform(0.0, 1.0, count))
    v = size * np.where(rng.random(count) < 0.5, -1, 1)
    v[:20] = -1.0
    return v


def full(function, v, n, cell):
    return function(torch.as_tensor(v, dtype=torch.float64), torch.tensor(n), cell, model="full").numpy()


def relative(got, exact):
    return np.abs(got / exact - 1)


# The published numbers. The oracle meets them too, so that it cannot share a misreading with ours.


def ours_weight(n):
    low, high, i = (current(V_READ, x, model="full").item() for x in (N_LOW, N_HIGH, n))
    return -1.5 + 3.0 * (i - low) / (high - low)


OURS = {
    "current": lambda v, n: current(v, n, model="full").item(),
    "temperature": lambda v, n: temperature(v, n, model="full").item(),
    "rate": lambda v, n: rate(v, n, model="full").item(),
    "pulse": lambda n, v: integrate(n, v, PULSE_S, model="full").item(),
    "weight": ours_weight,
}
REFERENCE = {
    "current": reference_current,
    "temperature": reference_temperature,
    "rate": reference_rate,
    "pulse": lambda n, v: reference_pulse(n, v, PULSE_S),
    "weight": reference_weight,
}
both = pytest.mark.parametrize("cell", [OURS, REFERENCE], ids=["ours", "reference"])


def test_defaults_are_the_table():
    assert CellParameters.names() == list(DEFAULTS)
    assert all(getattr(CellParameters(), name) == value for name, value in DEFAULTS.items())


@both
def test_published_read_currents(cell):
    assert cell["current"](V_READ, N_LOW) == pytest.approx(2.00320e-5, abs=0.5e-10)
    assert cell["current"](V_READ, N_HIGH) == pytest.approx(1.08692e-4, abs=0.5e-9)
    assert cell["weight"](0.3241) == pytest.approx(0.0, abs=2e-4)  # N(w=0), printed to four digits


@both
@pytest.mark.parametrize(
    ("w", "up", "down", "digit"),
    [(-1.45, 5.0e-5, 4.5e-5, 1e-6), (0.0, 0.0248, 0.0381, 1e-4), (1.45, 2.9e-5, 4.0e-5, 1e-6)],
)
def test_published_weight_steps(cell, w, up, down, digit):
    n = reference_concentration(w)
    start = cell["weight"](n)
    assert cell["weight"](cell["pulse"](n, V_SET)) - start == pytest.approx(up, abs=0.51 * digit)
    assert start - cell["weight"](cell["pulse"](n, V_RESET)) == pytest.approx(down, abs=0.51 * digit)


@both
def test_published_temperatures(cell):
    window = np.geomspace(N_LOW, N_HIGH, 200)
    assert max(cell["temperature"](V_SET, n) for n in window) == pytest.approx(628.0, abs=0.5)
    assert max(cell["temperature"](V_RESET, n) for n in window) == pytest.approx(676.0, abs=0.5)
    assert max(cell["temperature"](-0.8, n) for n in window) == pytest.approx(2110.0, abs=1.0)


@pytest.mark.parametrize(
    ("v", "start", "end", "pulses"), [(V_SET, N_LOW, N_HIGH, 9174), (V_RESET, N_HIGH, N_LOW, 7902)]
)
def test_published_number_of_pulses(v, start, end, pulses):
    edges = np.geomspace(start, end, 21)
    assert reference_time(edges[:-1], edges[1:], v).sum() / PULSE_S == pytest.approx(pulses, abs=0.5)
    # Ours pulse by pulse is thousands; a pulse as long as the whole crossing says the same.
    got = integrate(start, v, pulses * PULSE_S, model="full").item()
    assert reference_time(start, got, v, panels=200) == pytest.approx(pulses * PULSE_S, rel=1e-6)


@both
@pytest.mark.parametrize(("v", "sign"), [(V_SET, 1), (V_RESET, -1)])
def test_polarity(cell, v, sign):
    assert np.sign(cell["rate"](v, 0.3)) == sign
    assert np.sign(cell["current"](v, 0.3)) == -sign


# Section 4's table of d ln|dN/dt| / d ln p at N = 0.1, 0.5, 1.5, SET then RESET.
ELASTICITY = {
    "dW_A": ((-31, -25, -28), (-28, -23, -26)),
    "T_0": ((15, 11, 14), (15, 10, 12)),
    "R_th0": ((11, 12, 13), (13, 13, 13)),
    "mu_n": ((5.4, -1.1, -5.7), (7, -1.7, -6.3)),
    "R_TiOx": ((-2.4, -6.4, -9), (-2.7, -6.6, -8.7)),
    "R_0": ((-2.6, -7.1, -10), (-3, -7.6, -10)),
    "a": ((4.3, 2.6, 2.2), (2.3, 2.1, 2.0)),
    "nu_0": ((1, 1, 1), (1, 1, 1)),
}


@pytest.mark.parametrize("name", ELASTICITY)
def test_published_elasticities(name):
    n, h = np.array([0.1, 0.5, 1.5]), 1e-4
    for v, printed in zip((V_SET, V_RESET), ELASTICITY[name], strict=True):
        up, down = (full(rate, v, n, CellParameters(**{name: DEFAULTS[name] * (1 + s)})) for s in (h, -h))
        digit = [0.51 if isinstance(x, int) else 0.051 for x in printed]
        assert (np.abs(np.log(up / down) / (2 * h) - printed) <= digit).all()


# Against the reference, cell by cell.


def test_study_sized_draws_agree_with_scipy():
    rng = np.random.default_rng(11)
    count = 3000
    v, n, cells = voltages(rng, count), log_uniform(rng, 0.03, 19.9, count), study_cells(rng, count)
    exact = reference_current(v, n, cells)
    heat = reference_temperature(v, n, cells)
    assert (heat > 2000).sum() > 20  # the strongest waveforms are among them
    assert (bracket(ReferenceProblem(v, n, cells))[2] > 1).sum() > 300  # and so are cells with three roots
    cell = tensors(cells)
    assert relative(full(current, v, n, cell), exact).max() < 1e-9
    assert relative(full(temperature, v, n, cell), heat).max() < 1e-9
    assert relative(full(rate, v, n, cell), reference_rate(v, n, cells)).max() < 1e-7


@pytest.mark.parametrize("v", [V_READ, V_SET, V_RESET])
def test_the_voltages_of_a_study_agree_with_scipy(v):
    """The three voltages that every training uses, over all of N, at the nominal cell and across r and l."""
    n = np.geomspace(0.008, 20, 301)
    shape = {"r": np.linspace(31.5e-9, 58.5e-9, 5)[:, None], "l": np.array([0.28e-9, 0.4e-9, 0.52e-9])[:, None, None]}
    got = full(current, v, n, tensors(shape))
    assert got.shape == (3, 5, 301)
    assert relative(got, reference_current(v, n, shape)).max() < 1e-9


def test_the_allowed_ranges_agree_with_scipy():
    """No draw from section 3's whole ranges may land on another branch or fail to converge."""
    rng = np.random.default_rng(12)
    count = 20_000
    cells = {name: rng.uniform(*span, count) for name, span in ALLOWED.items()}
    cells["N_plug"] = log_uniform(rng, *ALLOWED["N_plug"], count)
    cells["l"] = 0.1e-9 * (0.95 * cells["l_cell"] / 0.1e-9) ** rng.random(count)
    cells |= {"N_min": np.full(count, 1e-4), "N_max": np.full(count, 1100.0)}
    v, n = rng.uniform(-1.0, 1.0, count), log_uniform(rng, 1e-4, 1100, count)
    with pytest.warns(UserWarning, match="phi_n >= phi_Bn0"):
        cell = tensors(cells)
    error = relative(full(current, v, n, cell), reference_current(v, n, cells))
    # In SET with phi_n > phi_Bn0 the root itself may lie on the singularity of the barrier, where the field of a
    # cell hangs on the last bits of V_s: such draws are a thousandth, and are held to 1e-7.
    singular = (v < 0) & (cells["phi_n"] > cells["phi_Bn0"])
    bad = ~(error < np.where(singular, 1e-7, 1e-9))
    assert not bad.any(), f"{bad.sum()} of {count}, first {np.flatnonzero(bad)[:5]}"
    assert (error[singular] > 1e-9).mean() < 5e-3


def pulse_draws(seed, count):
    """A study's pulses, and a tenth of them any voltage up to 1 V for 1 ns to 10 us."""
    rng = np.random.default_rng(seed)
    cells = study_cells(rng, count)
    cells["T_0"] = rng.uniform(283.0, 313.0, count)
    v = np.where(rng.random(count) < 0.5, rng.uniform(-0.36, -0.3, count), rng.uniform(0.6, 0.75, count))
    duration = np.full(count, PULSE_S)
    wild = rng.random(count) < 0.1
    v[wild], duration[wild] = voltages(rng, count)[wild], log_uniform(rng, 1e-9, 1e-5, count)[wild]
    return v, log_uniform(rng, 0.03, 19.0, count), duration.tolist(), cells


@pytest.mark.parametrize("count", [22, pytest.param(220, marks=pytest.mark.slow)])
def test_pulses_agree_with_scipy(count):
    """Gentle pulses by Radau, forward; those that avalanche by the time scipy needs to get where ours got."""
    v, n, duration, cells = pulse_draws(13, count)
    after = np.array(
        [
            integrate(n[k], v[k], duration[k], CellParameters(**one(cells, k)), model="full").item()
            for k in range(len(n))
        ]
    )
    moved = np.log(after / n)
    gentle, stopped = 0, 0
    for k in range(len(n)):
        left = np.log(cells["N_max"][k] / after[k]) if v[k] < 0 else np.log(after[k] / cells["N_min"][k])
        if abs(moved[k]) < 0.4:
            gentle += 1
            exact = reference_displacement(n[k], v[k], duration[k], one(cells, k))
            assert moved[k] == pytest.approx(exact, rel=1e-5, abs=1e-15), k
        elif left < 1e-6:  # at the bound: scipy must have come that far in time
            stopped += 1
            edge = after[k] * np.exp(np.sign(v[k]) * 1e-3)
            assert reference_time(n[k], edge, v[k], one(cells, k), panels=300) <= duration[k] * 1.001, k
        else:
            taken = reference_time(n[k], after[k], v[k], one(cells, k), panels=300)
            assert taken == pytest.approx(duration[k], rel=1e-5), k
    assert gentle >= 0.45 * count
    assert count - gentle - stopped >= 0.09 * count
    assert stopped >= 1 or count < 100


def one(cells, k):
    return {name: float(values[k]) for name, values in cells.items()}


@pytest.mark.slow
def test_avalanches_agree_with_radau():
    v, n, duration, cells = pulse_draws(14, 60)
    for k in range(len(n)):
        cell = one(cells, k)
        moved = np.log(integrate(n[k], v[k], duration[k], CellParameters(**cell), model="full").item() / n[k])
        ends = sorted(reference_displacement(n[k], v[k], duration[k] * s, cell) for s in (1 - 1e-4, 1 + 1e-4))
        assert ends[0] - 1e-9 <= moved <= ends[1] + 1e-9, k
