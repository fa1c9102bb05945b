"""``dw_min = "auto"``: the mean step of the nominal cell, a number from the moment when the study is read."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp

from vcm_sweep.device import VCMDevice, rate
from vcm_sweep.sweep import Store, Study, StudyError
from vcm_sweep.sweep.study.cautions import step_in_words

from ...studies import TINY

AUTO = TINY.replace("[[factor]]", '[device]\ndw_min = "auto"  # ours\n[[factor]]', 1)
CONDITIONS = AUTO[: AUTO.index("[[factor]]")] + '[design]\nmethod = "conditions"\nbaseline = "a"\n'
ROWS = """
[[condition]]
name = "a"
[[condition]]
name = "longer"
device = { pulse_s = 2e-6 }
[[condition]]
name = "number"
device = { dw_min = 1e-3 }
[[condition]]
name = "factor"
"device.dw_min" = 2e-3
"""


def step(device: VCMDevice, voltage: float) -> float:
    """How far a pulse moves the weight of the nominal cell from 0, by scipy's integrator."""

    def speed(_: float, n: list[float]) -> float:
        return float(rate(voltage, torch.tensor(float(n[0])).double(), device.parameters, device.model))

    start = device.map.concentration(torch.zeros(1, dtype=torch.float64))
    solved = solve_ivp(speed, (0.0, device.pulse_s), [float(start)], rtol=1e-8, atol=1e-10)
    return float(device.map.weight(torch.tensor(solved.y[:, -1]).double()))


def test_auto_is_the_mean_step_of_both_pulses() -> None:
    device = VCMDevice(model="full")
    expected = math.sqrt(step(device, device.set_voltage_v) * -step(device, device.reset_voltage_v))
    study = Study.from_text(AUTO)
    assert study.device["dw_min"] == pytest.approx(expected, rel=1e-3)
    assert step_in_words(study.device).endswith(f"assumes their mean, dw_min = {study.device['dw_min']:g}")


def test_results_hold_the_number(tmp_path: object) -> None:
    study = Study.from_text(AUTO)
    Store.create(study, f"{tmp_path}/results")
    again = Store.open(f"{tmp_path}/results").study
    assert again.digest == study.digest
    assert f"dw_min = {study.device['dw_min']}  # ours" in again.text
    number = Study.from_text(AUTO.replace('"auto"', str(study.device["dw_min"])))
    assert number.digest == study.digest


def test_each_condition_has_the_step_of_its_own_pulses() -> None:
    study = Study.from_text(CONDITIONS + ROWS)
    a, longer, number, factor = (condition.device["dw_min"] for condition in study.conditions)
    assert longer > 1.5 * a
    assert (number, factor) == (1e-3, 2e-3)
    assert Study.from_text(study.text, study.frozen).digest == study.digest
    assert "auto" not in study.text


def test_pulses_that_do_not_do_their_work_have_no_mean_step() -> None:
    with pytest.raises(StudyError) as caught:
        Study.from_text(AUTO.replace('"auto"', '"auto"\npulse_s = 1e-12\nset_voltage_v = -0.001'))
    line = str(caught.value)
    assert "\n" not in line
    assert all(words in line for words in ("dw_min = 'auto'", "(SET)", "(RESET)", "1e-09", "would do"))
