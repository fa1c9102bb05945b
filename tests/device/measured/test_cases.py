"""Files of the kinds that people have, with the cell that made them: r = 40 nm, dW_A = 1.30 eV, N = 0.05 at first.

The files in data/ were made by other code than ours, with noise of 1 or 2 % on the currents (none on the pulses).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcm_sweep.device import CellParameters, DeviceError, fit, read_measurement
from vcm_sweep.device.fitting.problem import Problem

DATA = Path(__file__).parent / "data"
TRUTH = {"r": 40e-9, "dW_A": 1.30}
N_START = 0.05
# The file, the options that it needs, the noise of its currents, and how near r (m) and dW_A (eV) must come.
READ: list[tuple[str, dict[str, Any], float, float, float]] = [
    ("current-signed.csv", {}, 0.02, 0.5e-9, 0.01),
    ("current-absolute.csv", {"magnitude": True}, 0.02, 0.5e-9, 0.01),
    ("equal-times.csv", {}, 0.01, 0.5e-9, 0.01),
    ("overflow-code.csv", {}, 0.01, 0.5e-9, 0.01),
    ("savetxt-header.csv", {}, 0.01, 0.5e-9, 0.01),
    ("tabs-and-plain-names.txt", {}, 0.01, 0.5e-9, 0.01),
    ("set-positive.csv", {"polarity": "set-positive"}, 0.01, 0.5e-9, 0.01),
    ("compliance-programmed.csv", {"ramp_v_per_s": 1.0}, 0.01, 1e-9, 0.02),
    ("compliance-programmed.csv", {"ramp_v_per_s": 1.0, "compliance_a": 1e-4}, 0.01, 1e-9, 0.02),
    ("compliance-actual.csv", {}, 0.01, 1e-9, 0.02),
    ("read-at-0.2V.csv", {}, 1e-3, 0.1e-9, 0.001),
    ("read-at-0.1V.csv", {"read_voltage_v": 0.1}, 1e-3, 0.1e-9, 0.001),
]
NAMES = [f"{name} {options}" for name, options, *_ in READ]


@pytest.mark.parametrize(("name", "options", "noise", "_r", "_energy"), READ, ids=NAMES)
def test_the_cell_that_made_a_file_explains_it(
    name: str, options: dict, noise: float, _r: float, _energy: float
) -> None:
    """As read, the file is what the cell does, to the noise: no fit, so that no parameter can hide a misreading."""
    data = read_measurement(DATA / name, **options)
    problem = Problem(data, ("r", "dW_A"), CellParameters(**TRUTH), "full", N_START, None)
    _, amperes = problem.simulate(np.log(list(TRUTH.values()))[:, None])
    residual = np.arcsinh(amperes[data.read, 0] / 2e-7) - np.arcsinh(data.current_a[data.read] / 2e-7)
    assert np.sqrt(np.mean(residual**2)) < 1.3 * noise


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "_noise", "r", "energy"), READ, ids=NAMES)
def test_the_cell_that_made_a_file_comes_back(name: str, options: dict, _noise: float, r: float, energy: float) -> None:
    found = fit(read_measurement(DATA / name, **options), list(TRUTH))
    assert found.believable, found.doubts
    assert abs(found.values["r"] - TRUTH["r"]) < r
    assert abs(found.values["dW_A"] - TRUTH["dW_A"]) < energy


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("current-absolute.csv", {}, "line 3: 1.205e-06 A at -0.02 V: in 49 of 128 rows current and voltage have opp"),
        ("current-absolute.csv", {}, "the current is a magnitude, without its sign"),
        ("set-positive.csv", {}, "SET is positive in this file, and negative here: turn all signs with --polarity"),
        ("current-signed.csv", {"polarity": "set-positive"}, "SET is positive in this file"),
    ],
)
def test_what_no_cell_does_is_refused(name: str, options: dict, words: str) -> None:
    with pytest.raises(DeviceError) as raised:
        read_measurement(DATA / name, **options)
    assert words in str(raised.value)


@pytest.mark.slow
def test_pulses_read_at_another_voltage_than_assumed_are_not_believed() -> None:
    found = fit(read_measurement(DATA / "read-at-0.1V.csv"), list(TRUTH))
    assert not found.believable
    assert any("read at 0.2 V: --read-voltage" in note for note in found.measurement.notes)


def test_both_files_of_a_compliance_are_one_measurement() -> None:
    asked = read_measurement(DATA / "compliance-programmed.csv", 1.0)
    lowered = read_measurement(DATA / "compliance-actual.csv")
    assert np.allclose(asked.voltage_v, lowered.voltage_v, atol=1e-9)
    assert np.allclose(asked.duration_s, lowered.duration_s, atol=1e-9)
    assert list(asked.limited) == list(lowered.limited) == [(16, 50)]
    for data in (asked, lowered):
        assert data.compliance_a[0] == pytest.approx(1e-4, rel=0.01)
        assert data.compliance_a[1] == np.inf
        assert any("35 rows from line 18" in note and "compliance" in note for note in data.notes)


def test_a_compliance_can_be_denied() -> None:
    data = read_measurement(DATA / "compliance-programmed.csv", 1.0, compliance_a=0.0)
    assert data.compliance_a == (np.inf, np.inf)
    assert not data.limited


def test_sweeps_without_compliance_show_none() -> None:
    for name in ("current-signed.csv", "equal-times.csv", "savetxt-header.csv"):
        assert not read_measurement(DATA / name).limited
