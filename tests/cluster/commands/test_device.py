"""``vcm-sweep device`` as a user meets it: tables, JSON, files, and one line for a mistake."""

import json
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import main
from vcm_sweep.device import CellParameters, current, integrate, load_cell


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["device", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def pulses(path: Path, cell: CellParameters, model: str, read_v: float = 0.2) -> Path:
    """A noise-free pulse response, by the integrator."""
    n, rows = 0.05, ["pulse,voltage_v,width_s,current_a"]
    for i in range(60):
        voltage = -0.42 if i < 30 else 0.78
        n = integrate(n, voltage, 1e-6, cell, model).item()
        rows.append(f"{i},{voltage},1e-6,{current(read_v, n, cell, model).item()!r}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_subcommands_are_named_with_their_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["device", "--help"])
    assert ended.value.code == 0
    words = capsys.readouterr().out
    for name in ("list", "show", "sensitivity", "fit", "plot", "exit codes"):
        assert name in words


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Bengel" in said(capsys, "list")
    assert json.loads(said(capsys, "list", "--json"))[0]["name"] == "default"
    table = said(capsys, "show", "default").splitlines()
    row = next(line for line in table if line.startswith("dW_A"))
    assert row.split(maxsplit=3)[:3] == ["dW_A", "1.35", "eV"]
    assert "at least 0.8 and at most 1.5" in row
    shown = json.loads(said(capsys, "show", "default", "--json"))
    assert {p["name"]: p["value"] for p in shown["parameters"]}["R_0"] == 719.2437


def test_sensitivity_is_the_table_of_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    """A row of section 4 of the physics notes, in the order that a reader compares it with."""
    table = said(capsys, "sensitivity").splitlines()
    row = next(line for line in table if line.startswith("mu_n")).split()
    assert [round(float(x), 1) for x in row[1:7]] == [5.4, -1.1, -5.7, 7.0, -1.7, -6.3]
    found = json.loads(said(capsys, "sensitivity", "--json", "--n", "0.5"))
    assert found["n"] == [0.5]
    assert round(found["set"]["dW_A"][0]) == -25
    assert 0.5 < found["read"]["r"][0] < 1.7
    explicit = json.loads(said(capsys, "sensitivity", "--json", "--model", "explicit"))
    assert explicit["read"]["r"] == [0, 0, 0]


def test_fit_writes_a_cell_that_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pulses(tmp_path / "cell no. 7.csv", CellParameters(r=43e-9), "explicit")
    words = said(capsys, "fit", data, "--fit", "r", "--model", "explicit")
    assert "standard error" in words
    folder = Path("fits") / "cell no. 7"
    assert load_cell(folder / "cell.toml").r == pytest.approx(43e-9, rel=1e-3)
    assert (folder / "fit.png").stat().st_size > 10_000
    assert "ln(measured / fit)" in (folder / "fit.svg").read_text()
    # The fitted cell goes straight into the other commands.
    assert "cell-no.-7" in said(capsys, "show", folder / "cell.toml")
    again = said(capsys, "fit", data, "--fit", "r,l", "--model", "explicit", "--cell", folder / "cell.toml", "--json")
    found = json.loads(again)
    assert found["values"]["r"] == pytest.approx(43e-9, rel=5e-3)
    assert set(found["values"]) == set(found["errors"]) == {"r", "l", "n_start"}


def test_a_fit_that_cannot_be_believed_ends_with_6_and_no_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read at another voltage than assumed: no cell explains it, and the cell of an earlier fit does not stay."""
    monkeypatch.chdir(tmp_path)
    data = pulses(tmp_path / "d.csv", CellParameters(r=43e-9), "explicit", read_v=0.1)
    options = ["fit", str(data), "--fit", "r,dW_A", "--model", "explicit"]
    assert main(["device", *options, "--read-voltage", "0.1"]) == 0
    assert Path("fits/d/cell.toml").exists()
    capsys.readouterr()
    assert main(["device", *options]) == 6
    words = capsys.readouterr().out
    assert "note: the pulses are taken as read at 0.2 V: --read-voltage says otherwise" in words
    assert words.rstrip().splitlines()[-1].startswith("NOT BELIEVABLE: ")
    assert not Path("fits/d/cell.toml").exists()
    shown = said(capsys, "show", "fits/d/doubtful.toml")
    assert "NOT BELIEVABLE" in shown
    assert "believable False" in shown
    assert main(["device", *options, "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["believable"] is False


def test_what_a_cell_file_leaves_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text('name = "s"\nsource = "test"\n[validity]\n[parameters]\n' + "r = 40e-9\nR_0 = 700.0\n")
    words = said(capsys, "show", path)
    assert "not in the file, so the default cell's: T_0, eps" in words
    assert "R_0" not in words.split("default cell's: ")[1].splitlines()[0]


def test_all_that_is_wrong_with_a_cell_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        'name = "s"\nsource = "test"\n[validity]\n[parameters]\nr = 200e-9\nl_cell = 33e-9\nR_th0 = 1.5e4\n'
    )
    assert main(["device", "show", str(path)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for words in ("r = 2e-07 m must be at least 5e-09 and at most 1e-07 m", "l_cell = 3.3e-08 m", "R_th0 = 15000 K/W"):
        assert words in line


def test_plot_writes_both_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "plot", "--kind", "switching", "--out", tmp_path / "new", "--json"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["switching.png", "switching.svg"]
    assert [Path(path).suffix for path in found["switching"]] == [".png", ".svg"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nominal"], "cell = 'nominal' must be one of default"),
        (["show", "no.toml"], "no.toml: cannot be read"),
        (["sensitivity", "--n", "25"], "it does not move"),
        (["fit", "no.csv", "--fit", "r"], "no.csv: cannot be read (No such file"),
        (["fit", "DATA", "--fit", "radius"], "unknown cell parameter 'radius'"),
        (["fit", "DATA", "--fit", ""], "no parameter to fit"),
        (["fit", "DATA", "--fit", "phi_n", "--model", "explicit"], "phi_n has no effect on this measurement"),
        (["fit", "DATA", "--fit", "r", "--ramp", "1"], "a ramp belongs to an I-V sweep"),
        (["fit", "DATA", "--fit", "r", "--polarity", "set-positive"], "turn all signs with --polarity set-positive"),
        (["fit", "DATA", "--fit", "r", "--columns", "current_a=current_a:mA,voltage_v=x"], "no column 'x'"),
        (["fit", "DATA", "--fit", "r", "--n-start", "nan"], "n_start = nan must be from"),
        (["fit", "DATA", "--fit", "r", "--floor", "nan"], "floor = nan A must be above 0"),
        (["fit", "DATA", "--fit", "r", "--model", "explicit", "--out", "DATA"], "cannot be written"),
        (["plot", "--kind", "switching", "--out", "DATA"], "cannot be written"),
        (["plot", "--cell", "small.toml", "--kind", "pulses"], "choose kind iv or maps"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pulses(tmp_path / "data.csv", CellParameters(r=43e-9), "explicit")
    Path("small.toml").write_text('name = "s"\nsource = "test"\n[validity]\n[parameters]\nN_max = 1.0\n')
    assert main(["device", *(str(data) if x == "DATA" else x for x in arguments)]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.startswith("vcm-sweep: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("text", ["half", "", ","])
def test_numbers_that_are_none_end_in_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["device", "sensitivity", "--n", text])
    assert ended.value.code == 2
    assert f"{text!r} must be numbers, separated by commas" in capsys.readouterr().err
