"""The same sweep, however a program writes it, is read to the same numbers."""

import itertools
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcm_sweep.device import DeviceError, Measurement, read_measurement

ROWS = 24
VOLTS = np.concatenate((-0.05 * np.arange(7), -0.05 * np.arange(5, -1, -1), 0.05 * np.arange(1, 12)))[:ROWS]
AMPERES = np.round(VOLTS * 1e-4, 9) + np.sign(VOLTS) * 1e-7
TIMES = 0.5 * np.arange(ROWS)
FACTORS = {"": 1.0, "m": 1e3, "u": 1e6, "n": 1e9}

volt_names = st.sampled_from(
    ["voltage_v", "Voltage", "V", "U", "Vforce", "AV", "V1", "Bias", "Voltage_applied", "SMU1 V"]
)
current_names = st.sampled_from(["current_a", "Current", "I", "AI", "Imeas", "I1", "Measured Current"])
time_names = st.sampled_from(["time_s", "Time", "t", "Timestamp", "Elapsed Time"])


def written(  # noqa: PLR0913  (each is a habit of some program)
    separator: str,
    comma: bool,
    names: list[str],
    units: list[str],
    style: str,
    comment: str,
    before: list[str],
    extra: bool,
    newline: str,
) -> str:
    """The sweep as text; ``style`` with {name} and {unit} is how a header names a column."""
    scaled = [
        column * FACTORS[unit[:-1].replace("µ", "u")]
        for column, unit in zip((VOLTS, AMPERES, TIMES), units, strict=True)
    ]
    header = [style.format(name=name, unit=unit) for name, unit in zip(names, units, strict=True)]
    if extra:
        header.insert(1, "Comment" if separator == "  " else "Note 1")
        scaled.insert(1, np.arange(len(VOLTS)))
    lines = [*before, comment + separator.join(header)]
    for row in zip(*scaled, strict=True):
        cells = [f"{x:.9g}" for x in row]
        lines.append(separator.join(cell.replace(".", ",") if comma else cell for cell in cells))
    return newline.join(lines) + newline


@settings(max_examples=60, deadline=None)
@given(
    separator=st.sampled_from([",", ";", "\t", "  ", ", ", "|"]),
    comma=st.booleans(),
    names=st.tuples(volt_names, current_names, time_names),
    prefixes=st.tuples(
        st.sampled_from(["", "m"]), st.sampled_from(["", "m", "u", "µ", "n"]), st.sampled_from(["", "m"])
    ),
    style=st.sampled_from(["{name} ({unit})", "{name} [{unit}]", "{name}/{unit}", "{name}({unit})", "{name} / {unit}"]),
    comment=st.sampled_from(["", "# ", "#", "% "]),
    before=st.sampled_from(
        [[], ["# made by a program"], ["Setup: sweep 3", "Date;2024-05-01"], ["", "Device A,12,4", ""]]
    ),
    extra=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-16-le"]),
)
def test_every_habit_is_read(  # noqa: PLR0913
    tmp_path_factory, separator, comma, names, prefixes, style, comment, before, extra, newline, encoding
) -> None:
    comma = comma and "," not in separator
    units = [prefix + base for prefix, base in zip(prefixes, "VAs", strict=True)]
    text = written(separator, comma, list(names), units, style, comment, before, extra, newline)
    path = tmp_path_factory.mktemp("f") / "sweep.txt"
    path.write_bytes(text.encode(encoding))
    read_back(read_measurement(path))


def read_back(data: Measurement) -> None:
    assert np.allclose(data.voltage_v, VOLTS, rtol=1e-6, atol=1e-12)
    assert np.allclose(data.current_a, AMPERES, rtol=1e-6, atol=1e-18)
    assert np.allclose(data.duration_s[1:], 0.5, rtol=1e-6)


ROW_LINES = [f"{v:.6g},{i:.6g},{t:.6g}" for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)]
FILES = {
    "units in a line of their own": "Voltage,Current,Time\nV,A,s\n" + "\n".join(ROW_LINES),
    "long names, units, comments (Origin)": "Voltage\tCurrent\tTime\nV\tmA\ts\n\t\trun 3\n"
    + "\n".join(f"{v:.6g}\t{1e3 * i:.6g}\t{t:.6g}" for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)),
    "EasyEXPERT": "SetupTitle, I/V Sweep\nPrimitiveTest, I/V Sweep\nTestParameter, Measurement.Secondary, 0, 0.5, 11\n"
    "MetaData, TestRecord.RecordTime, 05/06/2024 10:11:12\nDataName, V1, I1, Time\n"
    + "\n".join("DataValue, " + line.replace(",", ", ") for line in ROW_LINES),
    "EasyEXPERT's counts of rows before the names": "SetupTitle,S\nDimension1,24,24,24\nDimension2,1,1,1\n"
    "DataName,V1,I1,Time\n" + "\n".join("DataValue," + line for line in ROW_LINES),
    "Clarius, settings behind the rows": "AV,AI,Time,BV\n"
    + "\n".join(line + ",0" for line in ROW_LINES)
    + "\n\nTest Name,iv\nMode,Sweeping\nSpeed,Normal,1,2\nSweep Delay,0.01\n",
    "a workbook's settings behind the rows": "AV\tAI\tTime\n"
    + "\n".join(ROW_LINES).replace(",", "\t")
    + "\n================\nSettings\nStart/Bias\t0\t1\nStop\t1.5\t2\n",
    "another language": "Spannung;Strom;Zeit\n" + "\n".join(ROW_LINES).replace(",", ";").replace(".", ","),
    "times of the day": "V,I,t\n"
    + "\n".join(
        f"{v:.6g},{i:.6g},10:{58 + int(t) // 60:02d}:{t % 60:06.3f}"
        for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)
    ),
    "times of the day over midnight": "V,I,t\n"
    + "\n".join(
        f"{v:.6g},{i:.6g},{'23:59' if t < 5 else '00:00'}:{(55 + t) % 60:06.3f}"
        for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)
    ),
    "a drain": "V_D,I_D,Time\n" + "\n".join(ROW_LINES),
    "a source": "V_S,I_S,t_s\n" + "\n".join(ROW_LINES),
    "channel A": "V_A,I_A,Time_s\n" + "\n".join(ROW_LINES),
    "dates with times": "V,I,t\n"
    + "\n".join(
        f"{v:.6g},{i:.6g},2024-{'02-29T23:59' if t < 5 else '03-01T00:00'}:{(55 + t) % 60:06.3f}"
        for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)
    ),
    "days": "V,I,Time (d)\n"
    + "\n".join(f"{v:.6g},{i:.6g},{45000 + t / 86400:.12f}" for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)),
    "quoted cells": '"Voltage (V)","Current (A)","Time (s)"\n'
    + "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in ROW_LINES),
    "a separator at the end of the rows": "Voltage,Current,Time,\n" + "\n".join(line + "," for line in ROW_LINES),
    "a source meter's status and resistance": "VOLT,CURR,RES,TIME,STAT\n"
    + "\n".join("{},{},+9.91E37,{},2.1E4".format(*line.split(",")) for line in ROW_LINES),
    "units as names": "V,A,s\n" + "\n".join(ROW_LINES),
    "a name between two words": "Drain note,Voltage,x,Current,Time\n"
    + "\n".join("ok,{},7,{},{}".format(*line.split(",")) for line in ROW_LINES),
    "blank lines and a last word": "Voltage,Current,Time\n\n" + "\n\n".join(ROW_LINES) + "\nend of data\n",
    "Fortran's exponents": "Voltage,Current,Time\n" + "\n".join(ROW_LINES).replace("e-", "D-"),
    "a spreadsheet's blank lines": "Voltage,Current,Time\n,,\n" + "\n,,\n".join(ROW_LINES) + "\n,,\n",
    "fewer words than blanks (padded columns)": "  Voltage      Current      Time\n"
    + "\n".join("   ".join(f"{cell:>12}" for cell in line.split(",")) for line in ROW_LINES),
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_files_of_programs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text(text)
    read_back(read_measurement(path))


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("a,b,c", {"voltage_v": "a", "current_a": "b", "time_s": "c"}),
        ("a,b,c", {"voltage_v": "1", "current_a": "2:A", "time_s": "3"}),
        ("", {"voltage_v": "1", "current_a": "2", "time_s": "3"}),
        ("V1,I1,c", {"time_s": "c"}),
        ("x_D,y_S,z_V", {"voltage_v": "x_D", "current_a": "y_S", "time_s": "z_V"}),
    ],
)
def test_columns_that_the_caller_names(tmp_path: Path, header: str, columns: dict[str, str]) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("\n".join([*([header] if header else []), *ROW_LINES]))
    read_back(read_measurement(path, columns=columns))


def test_a_unit_and_a_sign_that_the_caller_gives(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    rows = [f"{1e3 * v:.6g},{-1e6 * i:.6g},{t:.6g}" for v, i, t in zip(VOLTS, AMPERES, TIMES, strict=True)]
    path.write_text("\n".join(["Vds,Ids,Time", *rows]))
    read_back(read_measurement(path, columns={"voltage_v": "Vds:mV", "current_a": "-Ids:uA"}))


@pytest.mark.parametrize("code", ["9.91E+37", "-9.9e37", "1e38", "nan", "OVERFLOW", "", "---", "9999", "#N/A"])
def test_an_instruments_code_is_no_reading(tmp_path: Path, code: str) -> None:
    path = tmp_path / "sweep.csv"
    lines = ["Voltage,Current,Time", *ROW_LINES]
    volt, _, time = lines[5].split(",")
    lines[5] = f"{volt},{code},{time}"
    path.write_text("\n".join(lines))
    data = read_measurement(path)
    assert np.isnan(data.current_a).tolist() == [k == 4 for k in range(ROWS)]
    assert np.allclose(data.duration_s[1:], 0.5)  # the row keeps its time
    assert any("line 6" in note and "no reading" in note for note in data.notes)


def test_what_was_assumed_is_said(tmp_path: Path) -> None:
    """Where a table ends before the file does, and that times without a unit are seconds: both may be wrong."""
    path = tmp_path / "sweep.csv"
    path.write_text("\n".join(["V,I,t", *ROW_LINES, "Settings", "Delay,1"]))
    assert read_measurement(path).notes == [
        "the table ends before line 26 ('Settings')",
        "the column 't' has no unit: it is taken in s, from 0 to 11.5 s (--columns time_s=t:ms says otherwise)",
    ]
    path.write_text("\n".join(["V,I,Time (s)", *ROW_LINES]))
    assert read_measurement(path).notes == []


def test_clocks_that_start_again_are_cycles(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("\n".join(["Voltage,Current,Time", *ROW_LINES * 3]))
    data = read_measurement(path)
    assert data.cycles == (0, ROWS, 2 * ROWS)
    assert np.allclose(data.duration_s[1:], 0.5)


def test_cycles_by_a_column_by_words_and_by_voltage(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    rows = [line.rpartition(",")[0] for line in ROW_LINES] + ["0,0"]
    by_column = [f"{line},{cycle}" for cycle in (1, 2) for line in rows]
    for text in (
        "\n".join(["Voltage,Current,Cycle", *by_column]),
        "\n".join(["Voltage,Current", *rows, "Cycle 2", "Voltage,Current", *rows]),
        "\n".join(["Voltage,Current", *rows, *rows[1:]]),
    ):
        path.write_text(text)
        cycles = read_measurement(path, 1.0).cycles
        assert len(cycles) == 2
        assert abs(cycles[1] - len(rows)) <= 1


@pytest.mark.parametrize("seconds", [0.1, 0.25, 1.0])
@pytest.mark.parametrize("rounding", [np.floor, np.round, np.ceil])
def test_a_coarse_clock_is_spread(tmp_path: Path, seconds: float, rounding) -> None:
    """Rows of 0.03 s on a clock of ``seconds``: their time is right to a row over the whole sweep."""
    times = rounding(0.03 * np.arange(200) / seconds) * seconds
    volts = 0.5 * np.sin(2 * np.pi * np.arange(200) / 199)
    path = tmp_path / "sweep.csv"
    path.write_text(
        "\n".join(["V,I,t", *(f"{v:.6g},{1e-4 * v:.6g},{t:.6g}" for v, t in zip(volts, times, strict=True))])
    )
    data = read_measurement(path)
    assert (data.duration_s[1:] > 0).all()
    assert np.abs(np.cumsum(data.duration_s) - 0.03 * np.arange(200)).max() < seconds
    if seconds < 1:
        assert np.abs(data.duration_s[1:] / 0.03 - 1).max() < 0.06


def test_a_large_file_is_thinned_and_keeps_its_turns(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    quarter = np.linspace(0, 0.5, 12_500)
    volts = np.concatenate((-quarter, -quarter[::-1], quarter, quarter[::-1]))
    path.write_text("V,I,t\n" + "\n".join(f"{v:.7g},{1e-4 * v:.7g},{1e-3 * k:.6g}" for k, v in enumerate(volts)))
    said: list[str] = []
    data = read_measurement(path, progress=said.append)
    assert len(data.voltage_v) < 5000
    assert data.voltage_v.min() == -0.5
    assert data.voltage_v.max() == 0.5
    assert data.duration_s.sum() == pytest.approx(1e-3 * (len(volts) - 1))
    assert any("thinned" in note for note in data.notes)
    assert said


def test_many_equal_pulses_are_thinned_to_as_long_ones(tmp_path: Path) -> None:
    path = tmp_path / "pulses.csv"
    rows = [f"{v},1e-6,{2e-5 + 1e-10 * k}" for v, k in itertools.product((-0.342, 0.7065), range(6000))]
    path.write_text("\n".join(["voltage_v,width_s,current_a", *rows]))
    data = read_measurement(path)
    assert len(data.voltage_v) < 5000
    for volts in (-0.342, 0.7065):
        assert data.duration_s[data.voltage_v == volts].sum() == pytest.approx(6e-3)


UNITS = [
    ("Voltage (Volts)", "Current (Amperes)", "Time (seconds)", (1, 1, 1)),
    ("Voltage [millivolts]", "Current [microamps]", "Time [msecs]", (1e3, 1e6, 1e3)),
    ("Voltage_mV", "Current_nA", "Time_us", (1e3, 1e9, 1e6)),
    ("Voltage..mV.", "Current..uA.", "Time..ms.", (1e3, 1e6, 1e3)),
    ("V (CH1)", "I (CH2)", "t", (1, 1, 1)),
    ("Voltage-mV", "Current-mA", "Time-min", (1e3, 1e3, 1 / 60)),
]


@pytest.mark.parametrize(("volts", "amperes", "times", "factors"), UNITS)
def test_units_as_words_and_behind_other_marks(
    tmp_path: Path, volts: str, amperes: str, times: str, factors: tuple[float, float, float]
) -> None:
    path = tmp_path / "sweep.csv"
    rows = np.stack((VOLTS, AMPERES, TIMES), 1) * factors
    lines = [f"{volts},{amperes},{times}", *(",".join(f"{x:.9g}" for x in row) for row in rows)]
    path.write_text("\n".join(lines))
    read_back(read_measurement(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Voltage (furlong),Current (A),Time (s)\n" + "\n".join(ROW_LINES), "furlong"),
        ("V,I,t\n" + "0.1 V,3 uA,1 s\n" * 20, "line 2 is '0.1 V,3 uA,1 s': units belong into the header"),
        ("V,width_s,Conductance (uS)\n" + "-0.4,1e-6,20\n" * 20, "'Conductance (uS)' is no current: write a column of"),
        ("V,I,Zeitpunkt\n" + "\n".join(ROW_LINES), "the file has 'V', 'I', 'Zeitpunkt': if one is the time, say --col"),
        ("Voltage;Current;Time\n" + "\n".join(f"-0,{i:02};-0,{i:06};1.000,{i:02}" for i in range(20)), "thousands"),
        ("V;I;t\n0,1;x;0\n" + "\n".join(f"-0,{i:02};-0,{i:06};{i},5" for i in range(20)), "line 2: 'x' is no number"),
    ],
)
def test_what_could_be_taken_for_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text(text)
    with pytest.raises(DeviceError) as raised:
        read_measurement(path)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_decimal_commas_between_blanks_are_no_separators(tmp_path: Path) -> None:
    path = tmp_path / "sweep.txt"
    rows = [f"{v:.6f} {i:.6e}".replace(".", ",") for v, i in zip(VOLTS, AMPERES, strict=True)]
    path.write_text("\n".join(["U I", *rows]))
    data = read_measurement(path, 0.1)
    assert np.allclose(data.voltage_v, VOLTS)
    assert np.allclose(data.current_a, AMPERES, atol=1e-12)


def test_a_given_ramp_wins_over_a_column_that_looks_like_times(tmp_path: Path) -> None:
    path = tmp_path / "sweep.csv"
    path.write_text("\n".join(["Voltage,Current,Time", *ROW_LINES]))
    data = read_measurement(path, 2.0)
    assert np.allclose(data.duration_s[1:], np.abs(np.diff(VOLTS)) / 2.0)
    assert any("not of the column 'Time'" in note for note in data.notes)


@pytest.mark.parametrize("row", [0, 6, 7, 12, 23])
def test_a_magnitude_has_the_sign_of_its_voltage_where_that_has_no_reading(tmp_path: Path, row: int) -> None:
    lines = [line.split(",") for line in ROW_LINES]
    lines[row][0] = "nan"
    path = tmp_path / "sweep.csv"
    path.write_text("\n".join(["V,I,t", *(",".join([v, i.lstrip("-"), t]) for v, i, t in lines)]))
    read = read_measurement(path, magnitude=True)
    at = np.abs(VOLTS) > 0.06  # beside 0 V either sign may be
    assert np.allclose(read.current_a[at], AMPERES[at])


@pytest.mark.parametrize("name", ["Drain Current", "Current, drain", "I$d"])
def test_an_advised_option_can_be_pasted_into_a_shell(tmp_path: Path, name: str) -> None:
    """The advice reads as one word of a shell, and with it the file is read."""
    seconds = np.linspace(0.0, 1.0, 41)
    volts = np.sin(2 * np.pi * seconds)
    rows = [f"{t:.4f};{v:.5f};{20.0 * v:.6f}" for t, v in zip(seconds, volts, strict=True)]
    (path := tmp_path / "sweep.csv").write_text("\n".join([f"time_s;voltage_v;{name}", *rows]))
    columns = {"current_a": "3"}
    with pytest.raises(DeviceError, match=r"in [mu]A\? say --columns") as caught:
        read_measurement(path, columns=columns)
    option, advice, *_ = shlex.split(str(caught.value).partition("say ")[2])
    assert option == "--columns"
    assert "," not in advice
    data = read_measurement(path, columns=dict([advice.split("=", 1)]))
    assert np.abs(data.current_a).max() < 0.1


def labelled(label: str, first: str = "Run") -> str:
    """The sweep with a column of labels before it; {} in them is the row."""
    rows = [
        f"{label.format(k)};{t};{v:.3f};{a:.6e}" for k, (t, v, a) in enumerate(zip(TIMES, VOLTS, AMPERES, strict=True))
    ]
    return "\n".join([f"{first};time_s;voltage_v;current_a", *rows])


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("fwd", "the column 'Run' has no numbers ('fwd'): it is left out as cycle"),
        ("A{}", "the column 'Run' has no numbers ('A0'): it is left out as cycle"),
        ("{}", "the column of cycle would begin a cycle every 1 rows, and one has 8 or more: it is left out"),
    ],
)
def test_labels_are_no_cycles(tmp_path: Path, label: str, told: str) -> None:
    (path := tmp_path / "sweep.csv").write_text(labelled(label))
    (plain := tmp_path / "plain.csv").write_text(labelled("x", "Note"))
    data = read_measurement(path)
    assert told in data.notes
    assert data.cycles == read_measurement(plain).cycles
    with pytest.raises(DeviceError, match="time_s = 'x' must be a number"):
        read_measurement(plain, columns={"time_s": "Note"})


def test_a_column_that_is_asked_for_is_not_left_out(tmp_path: Path) -> None:
    (path := tmp_path / "sweep.csv").write_text(labelled("fwd"))
    with pytest.raises(DeviceError, match="cycle = 'fwd' must be a number"):
        read_measurement(path, columns={"cycle": "Run"})


@pytest.mark.parametrize(("count", "cycles"), [("1", (0,)), ("{sign}", (0,)), ("{row}", (0,)), ("{again}", (0, 20))])
def test_a_count_of_pulses_that_does_not_count_makes_no_cycles(
    tmp_path: Path, count: str, cycles: tuple[int, ...]
) -> None:
    rows = [
        f"{count.format(row=row, sign=1 if row % 2 == 0 else -1, again=row % 20)};{-0.4 if row < 20 else 0.4};1e-6;2e-5"
        for row in range(40)
    ]
    (path := tmp_path / "pulses.csv").write_text("\n".join(["pulse;voltage_v;width_s;current_a", *rows]))
    data = read_measurement(path)
    assert data.cycles == cycles
    assert any("column of pulse would begin" in note for note in data.notes) == (count in ("1", "{sign}"))


@pytest.mark.parametrize("code", ["nan", "OVERFLOW", "#N/A", "-"])
@pytest.mark.parametrize("place", [1, 2, 4, 10])
def test_a_row_without_any_reading_is_a_row_and_begins_no_cycle(tmp_path: Path, code: str, place: int) -> None:
    path = tmp_path / "sweep.csv"
    lines = ["Voltage,Current,Time", *ROW_LINES]
    lines[place] = ",".join(3 * [code])
    path.write_text("\n".join(lines))
    data = read_measurement(path)
    without = [k for k in range(ROWS) if k != place - 1]
    assert len(data.cycles) == 1
    kept = np.isfinite(data.current_a)
    assert np.allclose(data.current_a[kept], AMPERES[without])


def test_records_of_an_analyser_one_behind_the_other_are_cycles(tmp_path: Path) -> None:
    """Settings between the two have numbers, and fewer of them than a row."""
    record = (
        "SetupTitle, sweep\nPrimitiveTest, I/V Sweep\nTestParameter, Channel.Unit, SMU1, SMU2\n"
        "TestParameter, Measurement.Primary.Start, 0\nTestParameter, Measurement.Primary.Step, 0.05\n"
        "DataName, V1, I1, Time1\n" + "\n".join(f"DataValue, {line}" for line in ROW_LINES) + "\n"
    )
    path = tmp_path / "sweep.csv"
    path.write_text(record)
    once = read_measurement(path)
    path.write_text(2 * record)
    twice = read_measurement(path)
    assert len(twice.cycles) == 2
    assert np.allclose(twice.current_a, np.tile(once.current_a, 2))
