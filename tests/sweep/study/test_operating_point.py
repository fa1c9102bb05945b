"""The operating point as factors: the pulses of the window are those of the equations, and one pulse is refused."""

import time
from typing import Any

import pytest

from vcm_sweep.device import CellParameters, VCMDevice
from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.operating_point import fastest_corners
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.window_check import window_pulses

from ...device.reference import N_HIGH, N_LOW, reference_time

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device]
model = "full"
[design]
n = 4
"""
FAST = {"device.set_voltage_v": (-0.44, -0.34), "device.pulse_s": (1e-7, 1e-4), "device.reset_voltage_v": (0.7, 0.75)}


def a_study(ranges: dict[str, tuple[float, float]], text: str = TEXT) -> Study:
    factors = [f'[[factor]]\nname = "{name}"\nrange = [{low!r}, {high!r}]\n' for name, (low, high) in ranges.items()]
    return Study.from_text(text + "".join(factors))


def referred(device: VCMDevice) -> tuple[float, float]:
    """(SET, RESET) pulses through 90 % of the window, by the independent equations."""
    far = 0.9 * (N_HIGH - N_LOW)
    set_s = reference_time(N_LOW, N_LOW + far, device.set_voltage_v)
    reset_s = reference_time(N_HIGH, N_HIGH - far, device.reset_voltage_v)
    return float(set_s) / device.pulse_s, float(reset_s) / device.pulse_s


def test_pulses_through_the_window_follow_the_point_as_the_equations_say() -> None:
    study = a_study(FAST)
    points = [
        {"device.set_voltage_v": -0.342, "device.pulse_s": 1e-6, "device.reset_voltage_v": 0.7065},
        {"device.set_voltage_v": -0.40, "device.pulse_s": 1e-7, "device.reset_voltage_v": 0.75},
    ]
    devices = [build_device(study.inputs(point)["device"]) for point in points]
    found = window_pulses(devices)
    for device, pulses in zip(devices, found.tolist(), strict=True):
        assert pulses == pytest.approx(referred(device), rel=0.005)
    assert found[0, 0] / found[1, 0] > 3


def test_an_avalanche_takes_the_time_of_its_start() -> None:
    """At -0.5 V the speed grows by decades on the way."""
    device = VCMDevice(model="full", set_voltage_v=-0.5, pulse_s=1e-9)
    assert window_pulses([device])[0, 0].item() == pytest.approx(referred(device)[0], rel=0.005)


def test_cells_that_never_get_there_take_for_ever() -> None:
    device = VCMDevice(parameters=CellParameters(N_max=1.5))
    assert window_pulses([device])[0, 0].item() < float("inf")  # 90 % of a window that ends at N_max
    held = VCMDevice(model="full", parameters=CellParameters(N_max=1.5, N_plug=20.0), pulse_s=1.0)
    assert window_pulses([held])[0, 1].item() < 1


def test_a_corner_of_one_pulse_is_refused_and_names_the_fewest_factors() -> None:
    with pytest.raises(
        StudyError,
        match=r"factors device\.set_voltage_v at -0\.44 and device\.pulse_s at 0\.0001: one SET pulse crosses the "
        r"nominal cell's window \(0\.\d+ of its length would do\) and saturates every cell: narrow",
    ):
        a_study(FAST).check()
    a_study(FAST | {"device.pulse_s": (1e-7, 1e-6)}).check()


def test_a_single_factor_that_saturates_alone_is_named_alone() -> None:
    with pytest.raises(StudyError, match=r"factor device\.pulse_s at 0\.1: one (SET|RESET) pulse crosses"):
        a_study(FAST | {"device.pulse_s": (1e-7, 0.1)}).check()


def test_parameters_of_the_whole_array_act_on_the_corner_too() -> None:
    safe = {"device.set_voltage_v": (-0.4, -0.34), "device.pulse_s": (1e-7, 1e-5)}
    a_study(safe).check()
    with pytest.raises(StudyError, match=r"and T_0\.global\.mean at 400: one SET pulse"):
        a_study(safe | {"T_0.global.mean": (293.0, 400.0)}).check()


def test_a_study_without_an_operating_point_is_checked_as_before() -> None:
    study = a_study({"T_0.global.mean": (283.0, 323.0), "r.d2d.sigma": (0.0, 0.05)})
    assert fastest_corners(study.device, study.factors) == []


def test_many_factors_are_checked_in_seconds_and_by_their_faster_ends() -> None:
    ranges = FAST | {f"{name}.d2d.sigma": (0.0, 0.01) for name in ("r", "l", "N_max", "R_TiOx", "T_0")}
    means: dict[str, Any] = {"r": 45e-9, "l": 0.4e-9, "R_TiOx": 650.0, "R_0": 719.0, "mu_n": 4e-6, "a": 0.25e-9}
    ranges |= {f"{name}.global.mean": (0.99 * value, 1.01 * value) for name, value in means.items()}
    ranges |= {
        "io.out_noise": (0.0, 0.1),
        "io.inp_bits": (3, 8),
        "update.desired_bl": (3, 50),
        "network.lr": (0.01, 0.1),
    }
    study = a_study(ranges)
    began = time.process_time()
    with pytest.raises(StudyError, match=r"device\.set_voltage_v at -0\.44 and device\.pulse_s at 0\.0001: one SET"):
        study.check()
    assert time.process_time() - began < 10
    fewest = {way.direction: way for way in fastest_corners(study.device, study.factors)}
    assert fewest["SET"].corner["device.set_voltage_v"] == -0.44
    assert fewest["RESET"].corner["device.reset_voltage_v"] == 0.75
    assert fewest["SET"].pulses < fewest["SET"].most


def test_a_window_without_weights_is_refused_with_its_corner() -> None:
    with pytest.raises(StudyError, match=r"factors periphery\.w_min at 0\.5 and periphery\.w_max at 0\.2: w_min"):
        a_study({"periphery.w_min": (-1.5, 0.5), "periphery.w_max": (0.2, 1.5)}).check()


def test_settings_that_the_tiles_lack_are_refused_with_their_corner() -> None:
    with pytest.raises(StudyError, match=r"factor update\.desired_bl at 100: \[device\] update\.desired_bl = 100 must"):
        a_study({"update.desired_bl": (3, 100), "network.lr": (0.01, 0.1)}).check()
    with pytest.raises(
        StudyError, match=r"factor io\.inp_bound at 0\.5: \[device\] forward\.inp_bound = 0\.5 must be 1"
    ):
        a_study({"io.inp_bound": (0.5, 2.0), "network.lr": (0.01, 0.1)}).check()
