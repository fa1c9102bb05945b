"""A fit finds the parameters of a cell that was simulated by other means, and says what it cannot find."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from vcm_sweep.device import CellParameters, DeviceError, Measurement, current, fit, integrate, library_cell, rate
from vcm_sweep.device.dynamics.trajectory import trajectory

N_START = 0.05
NOISE = 0.02
PULSES = np.repeat([-0.42, 0.78, -0.46, 0.85], [40, 40, 20, 20])  # enough to move the cell across its window


def sweep_voltages(step: float) -> np.ndarray:
    """0 to the SET end, to the RESET end, and back to 0."""
    down, up = np.arange(0, 0.55, step), np.arange(0, 0.9, step)
    return np.concatenate((-down, -down[-2::-1], up[1:], up[-2::-1]))


def states_of_a_sweep(slope, log_n: float, volts: np.ndarray, ramp: float) -> np.ndarray:
    """N at every row: scipy on a rate that is given as slope(v, n) -> dN/dt, row by row, split at V = 0."""
    states = [log_n]
    for a, b in itertools.pairwise(volts):
        for begin, end in ((a, b),) if a * b >= 0 else ((a, 0.0), (0.0, b)):
            time = abs(end - begin) / ramp

            def motion(t: float, x: np.ndarray, begin=begin, end=end, time=time) -> list[float]:
                return [slope(begin + (end - begin) * t / time, math.exp(x[0])) / math.exp(x[0])]

            log_n = solve_ivp(motion, (0, time), [log_n], method="LSODA", rtol=1e-8, atol=1e-9).y[0, -1]
        states.append(log_n)
    return np.exp(states)


def measured_sweep(cell, ramp: float = 1.0, step: float = 0.01, seed: int = 1, noise: float = NOISE) -> Measurement:
    """An I-V sweep of a cell that shares no code with the package."""
    volts = sweep_voltages(step)
    n = states_of_a_sweep(cell.rate, math.log(N_START), volts, ramp)
    amperes = np.array([cell.current(v, x) for v, x in zip(volts, n, strict=True)])
    scatter = np.random.default_rng(seed).standard_normal((2, len(volts)))
    amperes = amperes * (1 + noise * scatter[0]) + 2e-8 * scatter[1]
    return Measurement("iv", volts, np.abs(np.diff(volts, prepend=0.0)) / ramp, amperes)


def measured_pulses(cell, seed: int = 1, noise: float = NOISE) -> Measurement:
    n, rows = N_START, []
    for voltage in PULSES:
        n = cell.after(n, voltage, 1e-6)
        rows.append((voltage, 1e-6, cell.current(0.2, n)))
    volts, width, amperes = np.array(rows).T
    scatter = 1 + noise * np.random.default_rng(seed).standard_normal(len(volts))
    return Measurement("pulses", volts, width, amperes * scatter)


def test_the_states_of_a_sweep_are_those_of_scipy(reference_cell) -> None:
    """Through SET, both bounds' neighbourhoods and RESET, to a thousandth of N."""
    volts, cell = sweep_voltages(0.02), reference_cell(r=43e-9)
    n = trajectory(
        np.array([N_START]), volts[:-1], volts[1:], np.abs(np.diff(volts)), CellParameters(r=43e-9), "explicit"
    )
    reference = states_of_a_sweep(cell.rate, math.log(N_START), volts, 1.0)[1:]
    assert reference.max() > 19
    assert reference[-1] < 12
    assert np.abs(np.log(n[:, 0] / reference)).max() < 1e-3


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_the_states_of_pulses_are_those_of_the_integrator(model: str) -> None:
    volts = np.array([-0.36, -0.4, 0.7, -0.5, 0.8, 0.3, 0.0])
    cells = CellParameters(r=40e-9, N_max=5.0)
    walked = trajectory(np.array([N_START]), volts, volts, np.full(7, 1e-6), cells, model)[:, 0]
    n = N_START
    for voltage, ours in zip(volts, walked, strict=True):
        n = integrate(n, voltage, 1e-6, cells, model).item()
        assert math.log(ours / n) == pytest.approx(0, abs=2e-3)


def test_a_step_through_zero_moves_first_one_way_then_the_other(reference_cell) -> None:
    """From SET to RESET in one row and back: the halves in the order of time, as scipy has them."""
    for volts in (np.array([0.8, -0.6]), np.array([-0.6, 0.8])):
        reference = states_of_a_sweep(reference_cell().rate, math.log(1.0), volts, 1.0)[-1]
        n = trajectory(np.array([1.0]), volts[:1], volts[1:], np.array([1.4]), CellParameters(), "explicit")
        assert n.item() == pytest.approx(reference, rel=2e-3)


@pytest.mark.parametrize(
    ("measured", "truth"),
    [(measured_sweep, {"r": 42e-9, "dW_A": 1.30}), (measured_pulses, {"R_th0": 14e6, "R_theff_scaling": 0.3})],
)
def test_known_parameters_come_back(reference_cell, measured, truth: dict[str, float]) -> None:
    cell = reference_cell(**{"scaling" if k == "R_theff_scaling" else k: v for k, v in truth.items()})
    result = fit(measured(cell), list(truth), model="explicit")
    for name, value in {**truth, "n_start": N_START}.items():
        error = result.errors[name]
        assert abs(result.values[name] - value) < 4 * error, name
        assert error < 0.03 * value, name
    assert result.residual_rms == pytest.approx(NOISE, rel=0.3)
    assert result.noise == pytest.approx(NOISE, rel=0.3)
    assert result.believable
    for name in truth:
        assert getattr(result.parameters, name) == result.values[name]


@pytest.mark.slow
def test_the_standard_errors_are_the_scatter_of_repeated_measurements(reference_cell) -> None:
    clean = measured_pulses(reference_cell(r=43e-9), noise=0.0)
    deviations = []
    for seed in range(20):
        noisy = clean.current_a * (1 + NOISE * np.random.default_rng(seed).standard_normal(len(clean.current_a)))
        result = fit(dataclasses.replace(clean, current_a=noisy), ["r"], model="explicit")
        deviations.append((result.values["r"] - 43e-9) / result.errors["r"])
    # The sum of 20 squares of a standard normal is between 6 and 45 in 99.8 % of the cases.
    assert 6 < np.sum(np.square(deviations)) < 45


@pytest.mark.parametrize("kind", [pytest.param("iv", marks=pytest.mark.slow), "pulses"])
def test_the_full_model_comes_back(kind: str) -> None:
    truth = CellParameters(r=43e-9, dW_A=1.31, R_TiOx=800.0)
    volts = sweep_voltages(0.02) if kind == "iv" else PULSES[::2]
    n = N_START
    if kind == "iv":
        states = states_of_a_sweep(lambda v, x: rate(v, x, truth, "full").item(), math.log(N_START), volts, 1.0)
        duration, amperes = np.abs(np.diff(volts, prepend=0.0)), current(volts, states, truth, "full").numpy()
    else:
        duration, amperes = np.full(len(volts), 1e-6), np.empty(len(volts))
        for i, voltage in enumerate(volts):
            n = integrate(n, voltage, 1e-6, truth, "full").item()
            amperes[i] = current(0.2, n, truth, "full").item()
    amperes = amperes * (1 + NOISE * np.random.default_rng(3).standard_normal(len(volts)))
    # From far: the first misfit is a staircase in every one of them.
    start = CellParameters(r=48e-9, dW_A=1.25, R_TiOx=500.0)
    result = fit(Measurement(kind, volts, duration, amperes), ["r", "dW_A", "R_TiOx"], start)
    for name in ("r", "dW_A", "R_TiOx"):
        assert abs(result.values[name] - getattr(truth, name)) < 4 * result.errors[name], name
        assert result.errors[name] < 0.1 * result.values[name], name


def test_what_the_data_cannot_tell_apart_is_said(reference_cell) -> None:
    """nu_0 and l only scale the explicit rate: their ratio is all that any measurement holds."""
    result = fit(measured_pulses(reference_cell()), ["nu_0", "l"], model="explicit")
    assert any("nu_0 and l are correlated" in line for line in result.warnings)
    assert any("is not determined" in line for line in result.doubts)
    assert result.condition > 1e4
    assert not result.believable


def test_a_value_at_the_end_of_its_range_is_said(reference_cell) -> None:
    result = fit(measured_pulses(reference_cell(nu_0=3e14)), ["nu_0"], model="explicit")
    assert result.values["nu_0"] == pytest.approx(1e14, rel=1e-4)
    assert any(line.startswith("nu_0 = 1e+14 is at the highest allowed value") for line in result.doubts)


def test_l_and_l_cell_keep_their_order(reference_cell) -> None:
    """A cell whose disc is nearly as long as the cell: the search may not cross over."""
    result = fit(measured_pulses(reference_cell(l=2.9e-9)), ["l"], CellParameters(l=2e-9), "explicit")
    assert result.parameters.l < result.parameters.l_cell
    assert result.values["l"] == pytest.approx(2.9e-9, rel=0.05)


def test_the_fitted_cell_is_a_file_that_can_be_used(reference_cell, tmp_path: Path) -> None:
    result = fit(measured_pulses(reference_cell(r=43e-9)), ["r"], model="explicit")
    (tmp_path / "cell.toml").write_text(result.cell("fitted").to_toml())
    cell = library_cell(tmp_path / "cell.toml")
    assert abs(cell.parameters.r - result.values["r"]) < 0.02 * result.errors["r"]
    assert len(repr(cell.parameters.r)) <= len("4.30125e-08")  # no digits that the error does not carry
    assert cell.fit["believable"] is True
    assert cell.fit["errors"]["r"] == pytest.approx(result.errors["r"], rel=0.01)
    assert cell.fit["rms"] == pytest.approx(result.residual_rms, rel=0.01)
    assert not cell.defaults


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ([], {}, "no parameter to fit"),
        (["radius"], {}, "unknown cell parameter 'radius'"),
        (["r", "r"], {}, "named 2 times"),
        (["phi_Bn0"], {}, "phi_Bn0 has no effect on this measurement with model 'explicit'"),
        (["r"], {"n_start": 50.0}, "n_start = 50 must be from N_min = 0.008 to N_max = 20"),
        (["r"], {"floor_a": 1.0}, "floor = 1 A must be above 0 and below the largest current"),
        (["r", "l", "dW_A", "nu_0", "a", "T_0", "R_th0"], {}, "8 rows are too few for 8 unknowns"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(names: list[str], options: dict[str, float], words: str) -> None:
    data = Measurement("pulses", [-0.36] * 8, [1e-6] * 8, np.linspace(2e-5, 3e-5, 8))
    with pytest.raises(DeviceError) as raised:
        fit(data, names, model="explicit", **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_data_in_other_units_are_refused_in_one_line() -> None:
    """Millivolts as volts: the field is beyond the model."""
    data = Measurement("pulses", [-360.0] * 8, [1e-6] * 8, np.linspace(2e-5, 3e-5, 8))
    with pytest.raises(DeviceError, match="check the units of the data"):
        fit(data, ["r"], model="explicit")


def test_a_compliance_is_what_an_independent_integration_says(reference_cell) -> None:
    """scipy under the voltage that lets the compliance flow, against the table, from SET to the end of the stay."""
    limit, cell, ramp = 8e-5, reference_cell(r=43e-9), 1.0
    volts = sweep_voltages(0.02)[:56]

    def slope(v: float, n: float) -> float:
        if v < 0 and -cell.current(v, n) > limit:
            v = brentq(lambda x: cell.current(x, n) + limit, v, 0.0, xtol=1e-12)
        return cell.rate(v, n)

    expected = states_of_a_sweep(slope, math.log(N_START), volts, ramp)[1:]
    steps = volts[:-1], volts[1:], np.abs(np.diff(volts)) / ramp
    n = trajectory(
        np.array([N_START]), *steps, CellParameters(r=43e-9), "explicit", compliance_a=(limit, math.inf)
    )  # fmt: skip
    free = trajectory(np.array([N_START]), *steps, CellParameters(r=43e-9), "explicit")
    assert np.abs(np.log(n[:, 0] / expected)).max() < 0.01
    assert free[-1, 0] > 5 * n[-1, 0]


def test_a_known_state_is_taken_where_it_is_known() -> None:
    volts = np.full(4, -0.342)
    n = trajectory(
        np.array([0.3]), volts, volts, np.full(4, 1e-6), CellParameters(), "explicit",
        known_n=(np.array([1]), np.array([[0.7]])),
    )[:, 0]  # fmt: skip
    assert n[1] == pytest.approx(0.7)
    assert n[2] == pytest.approx(integrate(0.7, -0.342, 1e-6).item(), rel=1e-4)


def test_currents_that_no_cell_gives_are_not_believed(reference_cell) -> None:
    """A gain that drifts by a tenth over the pulses: far above the noise, and smooth."""
    data = measured_pulses(reference_cell(r=42e-9), noise=0.005)
    drift = 1 + 0.1 * np.sin(np.linspace(0, 3 * np.pi, len(data.current_a)))
    result = fit(dataclasses.replace(data, current_a=data.current_a * drift), ["r"], model="explicit")
    assert not result.believable
    assert any("times the noise of these data" in line for line in result.doubts)
    assert result.noise == pytest.approx(0.005, rel=0.5)
    assert result.cell("x").source.startswith("NOT BELIEVABLE")


def test_cycles_are_fitted_together_and_by_themselves(reference_cell) -> None:
    """Three cycles of cells that differ by a nanometre: the fit of all is among them, and their spread is said."""
    radii = (41e-9, 42e-9, 43e-9)
    parts = [measured_pulses(reference_cell(r=r), seed=k) for k, r in enumerate(radii)]
    rows = len(parts[0].voltage_v)
    data = Measurement(
        "pulses",
        *(np.concatenate([getattr(part, key) for part in parts]) for key in ("voltage_v", "duration_s", "current_a")),
        cycles=(0, rows, 2 * rows),
    )
    result = fit(data, ["r"], model="explicit")
    assert np.allclose(result.cycles["r"], radii, atol=0.1e-9)
    assert radii[0] < result.values["r"] < radii[-1]
    assert result.errors["r"] >= 0.9 * np.std(radii, ddof=1) / math.sqrt(3)
    assert result.cell("x").fit["spread"]["r"] == pytest.approx(1e-9, rel=0.1)


def test_currents_that_the_series_resistance_forbids_are_refused(reference_cell) -> None:
    """Milliamperes taken for amperes: no radius makes a cell conduct that much."""
    data = measured_pulses(reference_cell())
    with pytest.raises(DeviceError, match="in another unit"):
        fit(dataclasses.replace(data, current_a=1e3 * data.current_a), ["r"], model="explicit")
