"""``dw_min = "auto"``: the mean step of the nominal cell, a number from the moment when the study is read."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.integrate import solve_ivp

from vcm_sweep.device import VCMDevice, rate
from vcm_sweep.sweep import Store, Study, StudyError
from vcm_sweep.sweep.study.cautions import cautions, step_in_words, steps_in_words

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


def test_a_step_of_pulses_that_no_point_has_is_said() -> None:
    """The mean step at both ends of the range is scipy's; [device] has a pulse_s below them."""
    longer = AUTO.replace("[[factor]]", '[[factor]]\nname = "device.pulse_s"\nrange = [4e-6, 2e-5]\n[[factor]]', 1)
    settings = Study.from_text(longer).settings
    (told,) = (said for said in cautions(settings) if "no point has" in said)
    device = VCMDevice(model="full")
    ends = [
        f"{abs(step(replace(device, pulse_s=length), volts)):.2g}"
        for volts in (device.set_voltage_v, device.reset_voltage_v)
        for length in (4e-6, 2e-5)
    ]
    assert "[device] pulse_s = 1e-06, which no point has (factor device.pulse_s = 4e-06 to 2e-05" in told
    assert f"SET {ends[0]}, RESET {ends[2]}): give [device] pulse_s within" in told
    assert steps_in_words(settings).endswith(
        f"over the ranges SET {ends[0]} to {ends[1]}, RESET {ends[2]} to {ends[3]}"
    )


@pytest.mark.parametrize(("range_", "count"), [("[300.0, 400.0]", 1), ("[280.0, 400.0]", 0)])
def test_a_nominal_cell_that_no_point_has_is_said_too(range_: str, count: int) -> None:
    factor = f'[[factor]]\nname = "T_0.global.mean"\nrange = {range_}\n[[factor]]'
    told = cautions(Study.from_text(AUTO.replace("[[factor]]", factor, 1)).settings)
    assert sum("[device] T_0 = 293, which no point has" in said for said in told) == count


def test_other_cautions_are_of_values_that_points_have() -> None:
    """A learning rate of [network] that no point has, and pulses too long over the whole range."""
    lr = '[[factor]]\nname = "network.lr"\nrange = [0.01, 0.1]\n[[factor]]'
    assert (
        cautions(Study.from_text(TINY.replace("lr = 0.02", "lr = 100.0").replace("[[factor]]", lr, 1)).settings) == ()
    )
    pulse = '[[factor]]\nname = "device.pulse_s"\nrange = [1e-4, 2e-4]\n[[factor]]'
    text = TINY.replace("[[factor]]", f'[device]\nmodel = "explicit"\n{pulse}', 1)
    (told,) = cautions(Study.from_text(text).settings)
    assert "so that it has few states" in told


def test_conditions_in_which_the_step_differs_are_named() -> None:
    told = steps_in_words(Study.from_text(CONDITIONS + ROWS).settings).split("; ")
    assert [said.split(":")[0] for said in told if ":" in said] == ["a", "longer", "number", "factor"]
    alike = (
        CONDITIONS
        + ROWS[: ROWS.index('[[condition]]\nname = "longer"')]
        + '[[condition]]\nname = "b"\nnetwork = { batch = 4 }\n'
    )
    assert steps_in_words(Study.from_text(alike).settings).startswith("SET ")
    many = ROWS + "".join(f'[[condition]]\nname = "b{k}"\nnetwork = {{ batch = {k} }}\n' for k in (3, 4, 5))
    told = steps_in_words(Study.from_text(CONDITIONS + many).settings).split("; ")
    names = [said.split(":")[0] for said in told if ":" in said]
    assert names == ["longer", "number", "factor", "the 4 other conditions"]
