"""``vcm-sweep report`` and ``compare``, as a user calls them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import analyze
from vcm_sweep.cluster.cli import main
from vcm_sweep.cluster.terminal.tables import index_table
from vcm_sweep.sweep import open_results

from ...analysis.stored import stored
from ...analysis.synthetic import Array


def _other(u: Array) -> Array:
    """The second factor decides."""
    return np.asarray(0.9 - 0.1 * u[:, 0] - 0.5 * u[:, 1])


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    stored(folder / "explicit", 64, factors=2, name="explicit", diverge=0.95)
    stored(folder / "full", 64, factors=2, name="full", device='model = "full"', output=_other)
    return folder


def test_a_report_of_any_metric_goes_where_it_is_told(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = studies / "elsewhere"
    command = ["report", str(studies / "explicit"), "--metric", "p_diverged", "--out", str(out), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(out / "report.html")}
    assert "P(diverged)" in (out / "report.md").read_text()


def test_what_cannot_be_reported_is_one_line_with_its_way_out(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(studies / "explicit")]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "drop-block or worst-case" in said
    assert main(["report", str(studies / "explicit"), "--policy", "worst-case"]) == 0


def test_two_studies_side_by_side(
    studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(studies)
    command = ["compare", "explicit", "full", "--policy", "worst-case"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "explicit puts r.d2d.sigma first, full puts l.d2d.sigma first." in said
    assert "is it real?" in said
    assert (studies / "reports" / "explicit-against-full" / "compare.html").stat().st_size > 900_000
    assert main([*command, "--json", "--out", "page"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["report"] == "page/compare.html"
    assert {factor["factor"] for factor in plain["factors"] if factor["real"]} == {"r.d2d.sigma", "l.d2d.sigma"}
    assert main(["compare", "explicit", "nowhere"]) == 3


def test_a_copy_of_a_study_is_called_one(
    studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(studies)
    shutil.copytree("full", "again")
    assert main(["compare", "full", "again", "--out", "page"]) == 0
    said = capsys.readouterr().out
    assert "Both hold the same trainings, number by number" in said
    assert main(["compare", "explicit", "full", "--policy", "worst-case", "--out", "page"]) == 0
    assert "the same trainings" not in capsys.readouterr().out


@pytest.mark.parametrize("method", ["sobol", "pawn"])
def test_the_table_of_many_factors_fits_a_terminal(method: str, tmp_path: Path) -> None:
    result = analyze(stored(tmp_path / "wide", 32, factors=11), method=method)
    table, legend = index_table(result).split("\n\n")[:2]
    lines = table.splitlines()
    assert len(lines) == 1 + 11 + 1
    assert max(map(len, lines)) <= 120
    for index in result.ranking():
        (line,) = (line for line in lines if line.startswith(index.factor))
        verdict = result.verdict(index.factor)
        assert verdict.replace("not distinguishable from no effect", "open") in line
        needs = {found.factor: found.needs for found in result.enough()}[index.factor]
        assert (f"needs {needs} more" if needs else "settled") in line
    assert legend.startswith("Open: not distinguishable from no effect.\nEnough: known to +-")


def test_what_rounding_leaves_of_nothing_is_shown_as_nothing(studies: Path) -> None:
    result = analyze(open_results(studies / "full"))
    tiny = tuple(replace(index, value=1e-33, low=-3e-33, high=2e-33) for index in result.total)
    table = index_table(replace(result, indices={**result.indices, "total": tiny}))
    assert "[0.000, 0.000]" in table
    assert "e-33" not in table
