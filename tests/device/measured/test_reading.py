"""A file of a measurement is read as it was taken, or refused with the line to mend."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.device import DeviceError, Measurement, read_measurement

SWEEP = "# a comment\nvoltage_v,current_a,time_s\n"
SWEEP += "".join(f"{-0.1 * i:g},{-1e-6 * i},{0.5 * i}\n" for i in range(10))
RAMP = "voltage_v,current_a\n" + "".join(f"{v},{1e-6 * v}\n" for v in (0, -0.2, -0.4, -0.2, 0, 0.3, 0.6, 0.3, 0))
PULSES = "pulse,voltage_v,width_s,current_a\n" + "".join(f"{i},-0.342,{1e-6 if i else 0},2e-5\n" for i in range(9))


def read(folder: Path, text: str, ramp: float | None = None, **options) -> Measurement:
    path = folder / "data.csv"
    path.write_text(text)
    return read_measurement(path, ramp, **options)


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
    assert data.read_v == 0.2
    assert any("read at 0.2 V" in note for note in data.notes)


def test_the_read_voltage_is_an_option_or_a_column(tmp_path: Path) -> None:
    assert read(tmp_path, PULSES, read_voltage_v=0.1).read_v == 0.1
    lines = PULSES.splitlines()
    column = "\n".join([lines[0] + ",Read voltage (mV)", *(line + ",150" for line in lines[1:])])
    assert np.allclose(read(tmp_path, column).read_v, 0.15)
    with pytest.raises(DeviceError, match="a column and an option"):
        read(tmp_path, column, read_voltage_v=0.1)
    with pytest.raises(DeviceError, match="a cell is passive"):
        read(tmp_path, PULSES, read_voltage_v=-0.1)


def test_pulses_of_a_source_with_positive_set(tmp_path: Path) -> None:
    """Read at a positive voltage there, which is a negative one here, as is its current."""
    text = "width_s,voltage_v,current_a\n" + "".join(f"1e-6,0.4,{1e-5 * 1.1**i}\n" for i in range(12))
    with pytest.raises(DeviceError, match="--polarity set-positive"):
        read(tmp_path, text)
    data = read(tmp_path, text, polarity="set-positive")
    assert (data.voltage_v == -0.4).all()
    assert data.read_v == -0.2
    assert (data.current_a < 0).all()


@pytest.mark.parametrize(
    ("text", "ramp", "words"),
    [
        (SWEEP.replace("-2e-06", "2 uA"), None, "line 5: current_a = '2 uA' must be a number"),
        (SWEEP.replace(",-2e-06,", ";-2e-06;"), None, "line 5 has 1 values, the others 3"),
        (SWEEP.replace(",1.5\n", ",0.9\n"), None, "line 6: time_s = 0.9 must be at least 1 of the row before"),
        (SWEEP.replace("time_s", "voltage_v"), None, "columns 'voltage_v' and 'voltage_v' could both be voltage_v"),
        (
            SWEEP.replace("voltage_v", "x").replace("-1e-06", "nan"),
            None,
            "column voltage_v of an I-V sweep is not found",
        ),
        ("\n".join(SWEEP.splitlines()[:6]), None, "4 rows are too few: a measurement has at least 8"),
        ("", None, "it has no rows of numbers"),
        ("hello\nworld\n", None, "it has no rows of numbers"),
        (RAMP, None, "needs a column time_s, or the speed of its ramp"),
        (RAMP, -1.0, "ramp = -1 V/s must be finite and above 0"),
        (
            RAMP.replace("0.6,", "600,").replace("0.3,", "300,").replace("0.4,", "400,"),
            1.0,
            "in mV? say --columns voltage",
        ),
        (RAMP.replace("e-07", "e+01").replace("e-06", "e+02"), 1.0, "in uA? say --columns current_a=current_a:uA"),
        (PULSES, 1.0, "a ramp belongs to an I-V sweep"),
        (PULSES.replace("width_s", "x"), None, "column width_s of a pulse response is not found"),
        (
            PULSES.replace("3,-0.342,1e-06", "3,-0.342,-1e-06"),
            None,
            "line 5: width_s = -1e-06 must be a number, at least 0",
        ),
        (PULSES.replace("3,-0.342", "1,-0.342"), None, "line 5: pulse = 1 must be above 2"),
        (PULSES.replace("1e-06", "0"), None, "duration_s must be at least 0 in every row, and above 0 in some"),
        (
            SWEEP.replace("-2e-06", "9.9e37").replace("-3e-06", "9.9e37"),
            None,
            "2 of 10 rows have no reading of current_a",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, ramp: float | None, words: str) -> None:
    with pytest.raises(DeviceError) as raised:
        read(tmp_path, text, ramp)
    assert words in str(raised.value)
    assert str(tmp_path / "data.csv") in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": {"volts": "a"}}, "'volts' is no column of ours"),
        ({"columns": {"voltage_v": "Bias"}}, "no column 'Bias'; the file has voltage_v, current_a"),
        ({"columns": {"current_a": "current_a:mV"}}, "'mV' is no unit of it"),
        ({"columns": {"width_s": "3"}}, "no column '3'"),
        ({"polarity": "up"}, "polarity = 'up' must be one of"),
        ({"compliance_a": -1.0}, "compliance = -1 A must be finite and at least 0"),
        ({"compliance_a": 1e-3}, "no rows stand at it"),
        ({"read_voltage_v": 0.1}, "a read voltage belongs to pulses"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(DeviceError) as raised:
        read(tmp_path, RAMP, 1.0, **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_ramp_beside_times_that_were_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="--columns time_s and a ramp are both given: leave one out"):
        read(tmp_path, SWEEP, 1.0, columns={"time_s": "time_s"})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(bytes(range(256)) * 8)
    for path in (tmp_path / "data.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(DeviceError, match="cannot be read"):
            read_measurement(path)


def test_arrays_in_python_are_checked() -> None:
    fine = np.linspace(0.1, 0.2, 9)
    third = np.arange(9) == 2
    with pytest.raises(DeviceError, match="voltage_v of row 3 must be finite"):
        Measurement("iv", np.where(third, np.nan, fine), fine, fine)
    with pytest.raises(DeviceError, match="current_a of row 3 must be finite"):
        Measurement("iv", fine, fine, np.where(third, np.inf, fine))
    with pytest.raises(DeviceError, match="duration_s must have one value for each of the 9 rows"):
        Measurement("iv", fine, fine[:-1], fine)
    with pytest.raises(DeviceError, match="7 rows are too few"):
        Measurement("iv", fine, fine, np.where(third | (fine > 0.195), np.nan, fine))
    with pytest.raises(DeviceError, match="read_v must be finite and not 0 V"):
        Measurement("pulses", fine, fine, fine, read_v=0.0)
