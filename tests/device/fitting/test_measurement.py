"""A file of a measurement is read as it was taken, or refused with the line to mend."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.device import DeviceError, Measurement, read_measurement

SWEEP = "# a comment\nvoltage_v,current_a,time_s\n"
SWEEP += "".join(f"{-0.1 * i:g},{-1e-6 * i},{0.5 * i}\n" for i in range(10))
RAMP = "voltage_v,current_a\n" + "".join(f"{v},{1e-6 * v}\n" for v in (0, -0.2, -0.4, -0.2, 0, 0.3, 0.6, 0.3, 0))
PULSES = "pulse,voltage_v,width_s,current_a\n" + "".join(f"{i},-0.342,{1e-6 if i else 0},2e-5\n" for i in range(9))


def read(folder: Path, text: str, ramp: float | None = None) -> Measurement:
    path = folder / "data.csv"
    path.write_text(text)
    return read_measurement(path, ramp)


def test_a_sweep_with_times(tmp_path: Path) -> None:
    data = read(tmp_path, SWEEP)
    assert (data.kind, data.source) == ("iv", "data.csv")
    start, end, duration = data.steps()
    assert np.allclose(end, -0.1 * np.arange(10))
    assert np.allclose(start[1:], end[:-1])
    assert np.allclose(duration, [0] + [0.5] * 9)


def test_a_sweep_with_a_ramp(tmp_path: Path) -> None:
    """Its time runs on through both directions."""
    duration = read(tmp_path, RAMP, 2.0).steps()[2]
    assert np.allclose(duration, [0, 0.1, 0.1, 0.1, 0.1, 0.15, 0.15, 0.15, 0.15])


def test_pulses(tmp_path: Path) -> None:
    data = read(tmp_path, "\ufeff" + PULSES.replace("\n", "\r\n"))
    start, end, duration = data.steps()
    assert data.kind == "pulses"
    assert (start == -0.342).all()
    assert (end == -0.342).all()
    assert duration.tolist() == [0] + [1e-6] * 8


@pytest.mark.parametrize(
    ("text", "ramp", "words"),
    [
        (SWEEP.replace("-2e-06", "nan"), None, "line 5: current_a = nan must be finite"),
        (SWEEP.replace("-2e-06", "inf"), None, "line 5: current_a = inf must be finite"),
        (SWEEP.replace("-2e-06", "2 uA"), None, "line 5: current_a = '2 uA' must be a number"),
        (SWEEP.replace(",-2e-06,", ";-2e-06;"), None, "line 5 has 1 values, the header 3"),
        (SWEEP.replace(",1.5\n", ",0.9\n"), None, "line 6: time_s = 0.9 must be above 1 of the row before"),
        (SWEEP.replace("current_a", "current_ma"), None, "unknown column 'current_ma': the columns are voltage_v,"),
        (SWEEP.replace("time_s", "voltage_v"), None, "column 'voltage_v' is given 2 times"),
        ("\n".join(SWEEP.splitlines()[:6]), None, "4 rows are too few: a measurement has at least 8"),
        ("", None, "column 'voltage_v' is missing"),
        (SWEEP, 1.0, "time_s and a ramp are both given"),
        (RAMP, None, "needs a column time_s, or the speed of its ramp"),
        (RAMP, -1.0, "ramp = -1 V/s must be finite and above 0"),
        (PULSES, 1.0, "a ramp belongs to an I-V sweep"),
        (PULSES.replace("width_s", "width"), None, "unknown column 'width'"),
        (PULSES.replace("width_s,", "").replace("1e-06,", ""), None, "column 'width_s' is missing"),
        (PULSES.replace("3,-0.342,1e-06", "3,-0.342,-1e-06"), None, "line 5: width_s = -1e-06 must be at least 0 s"),
        (PULSES.replace("3,-0.342", "1,-0.342"), None, "line 5: pulse = 1 must be above 2"),
        (PULSES.replace("1e-06", "0"), None, "duration_s must be at least 0 in every row, and above 0 in some"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, ramp: float | None, words: str) -> None:
    with pytest.raises(DeviceError) as raised:
        read(tmp_path, text, ramp)
    assert words in str(raised.value)
    assert str(tmp_path / "data.csv") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "data.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(DeviceError, match="cannot be read as CSV"):
            read_measurement(path)


def test_arrays_in_python_are_checked() -> None:
    fine = np.linspace(0.1, 0.2, 9)
    with pytest.raises(DeviceError, match="current_a of row 3 must be finite"):
        Measurement("iv", fine, fine, np.where(np.arange(9) == 2, np.nan, fine))
    with pytest.raises(DeviceError, match="duration_s must have one value for each of the 9 rows"):
        Measurement("iv", fine, fine[:-1], fine)
