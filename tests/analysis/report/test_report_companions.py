"""Studies beside a study's results enter its report: costs at the limits, their shares by mismatch, tolerances."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcm_sweep.analysis import Index, write_report
from vcm_sweep.sweep import Store, Study
from vcm_sweep.sweep.running.limits_study import limits_study

from ..stored import stored
from ..synthetic import Array


def _output(u: Array) -> Array:
    """The second factor explains more of the variance; a slope and a tent, so the first costs more at its end."""
    return np.asarray(0.95 - 0.30 * np.clip(u[:, 0] - 0.5, 0, None) - 0.12 * u[:, 1])


@pytest.fixture(scope="module")
def with_limits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("runs") / "study"
    results = stored(folder, 32, factors=3, output=_output)
    stored(folder / "limits", 24, factors=3, output=_output, replicates=1, design='method = "limits"\n')
    write_report(results, folder)
    return folder


def test_the_answer_says_what_the_winner_costs_at_its_limit(with_limits: Path) -> None:
    page = (with_limits / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    header = page[page.index("<header>") : page.index("</header>")]
    costs = json.loads((with_limits / "indices.json").read_text())["limits"]["costs"]
    top = json.loads((with_limits / "indices.json").read_text())["ranking"][0]
    (cost,) = (c["cost"] for c in costs if c["factor"] == top)
    assert "of the variance of accuracy (total index), and at its upper limit costs" in header
    assert f"costs {100 * cost['value']:.1f}" in header
    assert "points against the nominal device" in header


def test_both_rankings_stand_side_by_side_and_their_disagreement_is_said(with_limits: Path) -> None:
    page = (with_limits / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    rows = list(csv.DictReader((with_limits / "report" / "ranking.table.csv").open()))
    by_cost = {row["factor"].split(". ")[1]: row["place by cost"] for row in rows}
    assert by_cost["r.d2d.sigma"] == "1"  # 15 points against 12
    assert by_cost["l.d2d.sigma"] == "2"
    assert all(row["range"] for row in rows)
    first = rows[0]["factor"].split(". ")[1]
    # A slope of 0.12 has a variance of 0.0012, the tent of 0.30 one of 0.0023/... computed here on a grid.
    u = (np.arange(100_000) + 0.5) / 100_000
    shares = {"r.d2d.sigma": np.var(0.30 * np.clip(u - 0.5, 0, None)), "l.d2d.sigma": np.var(0.12 * u)}
    assert first == max(shares, key=lambda name: shares[name])
    assert ("Both rankings put" in page) == (first == "r.d2d.sigma")
    assert (with_limits / "report" / "costs.svg").exists()


def test_a_limits_study_has_a_report_of_its_own(with_limits: Path) -> None:
    from vcm_sweep.sweep import open_results

    page = (
        write_report(open_results(with_limits / "limits"), with_limits / "limits")
        .read_text(encoding="utf-8")
        .replace("\u00a0", " ")
    )
    assert "r.d2d.sigma at 0.08 costs most accuracy" in page
    rows = list(csv.DictReader((with_limits / "limits" / "report" / "costs.table.csv").open()))
    assert [row["factor"] for row in rows][:2] == ["1. r.d2d.sigma", "2. l.d2d.sigma"]
    assert rows[0]["cost, points"].startswith("1")  # 15 points
    assert "24" in page


def test_mediation_and_tolerances_have_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vcm_sweep.analysis.limits.mediation import Mediation
    from vcm_sweep.analysis.report import companions
    from vcm_sweep.analysis.tolerance import FrontPoint, Tolerance, ToleranceAnswer
    from vcm_sweep.analysis.tolerance.answer import write_answer

    folder = tmp_path / "study"
    results = stored(folder, 32, factors=2)
    stored(folder / "limits", 16, factors=2, replicates=1, design='method = "limits"\n')
    limits = companions.read_limits(results.folder, "accuracy", "fail")[0]
    share = Index("r.d2d.sigma", 0.62, 0.51, 0.73)
    told = Mediation("r.d2d.sigma", "high", 0.08, "mismatch", limits.costs[0].cost, share, share, share, "")
    untold = Mediation("l.d2d.sigma", "high", 0.1, "speed", limits.costs[1].cost, None, None, None, "the cost is noise")
    from dataclasses import replace

    found = replace(limits, mediations=(told, untold))
    monkeypatch.setattr("vcm_sweep.analysis.report.write.read_limits", lambda *_: (found, ""))
    row = Tolerance("T_0", "K", 310.0, 308.0, 315.0, "accuracy", Index("T_0", 0.9, 0.89, 0.91), "high", 293.0, 0.57)
    point = FrontPoint({"T_0": 300.0}, (Index("accuracy", 0.9, 0.8, 0.95), Index("energy_j", 2e-5, 1e-5, 3e-5)))
    other = FrontPoint({"T_0": 310.0}, (Index("accuracy", 0.8, 0.7, 0.85), Index("energy_j", 1e-5, 1e-5, 2e-5)))
    nan = float("nan")
    for answer in (
        ToleranceAnswer("one", "accuracy", 0.88, 0.95, (row,), "Fresh seeds confirm it."),
        ToleranceAnswer("trade-off", "accuracy", nan, 0.95, (), "Confirmed.", front=(point, other),
                        hypervolume=((8, 0.1), (16, 0.3))),
    ):  # fmt: skip
        write_answer(results.folder / "tolerance", answer)
    page = write_report(results, folder).read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "62 % [51, 73] of that goes through mismatch" in page
    assert "the cost is noise" in page
    assert "293 .. 310 K [308, 315]" in page
    assert "Fresh seeds confirm it." in page
    names = {path.stem for path in (folder / "report").glob("*.svg")}
    assert {"mediation", "tolerances-one", "front", "hypervolume"} <= names
    # Each point of the front with the intervals of both objectives, and where it is.
    first, second = csv.DictReader((folder / "report" / "front.table.csv").open())
    assert (first["accuracy"], first["programming energy (J)"]) == ("90 % [80, 95]", "2.00e-05 [1.00e-05, 3.00e-05]")
    assert (second["accuracy"], second["T_0"]) == ("80 % [70, 85]", "310")
    assert "accuracy 80 % [70, 85] to 90 % [80, 95], energy_j 1.00e-05 [1.00e-05, 2.00e-05] to" in page
    (drawn,) = csv.DictReader((folder / "report" / "tolerances-one.csv").open())
    # The interval's ends on the same scale as the value: (308 - 293) / (310 - 293) of 0.57.
    assert float(drawn["low"]) == pytest.approx(0.57 * 15 / 17)


def _page(results: Any, folder: Path) -> str:
    return write_report(results, folder).read_text(encoding="utf-8").replace("\u00a0", " ").replace("&#39;", "'")


def test_what_lies_beside_a_study_and_cannot_be_used_is_said_and_never_taken_for_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    results = stored(folder, 16, factors=2)
    page = _page(results, folder)
    assert "needs trainings of its own" in page
    command = f"vcm-sweep tolerance {folder}/study.toml --out {folder}"
    assert command in page
    assert Study.from_toml(folder / "study.toml").digest == results.study.digest
    assert "is there, but" not in page

    # Costs of another device must not stand beside these indices.
    stored(folder / "limits", 16, factors=2, replicates=1, design='method = "limits"\n', device='model = "full"')
    (folder / "tolerance").mkdir()
    (folder / "tolerance" / "one.json").write_text("{half")
    page = _page(results, folder)
    assert "limits is there, but gives no costs: limits: it holds another study" in page
    assert "limits" not in json.loads((folder / "indices.json").read_text())
    assert "tolerance is there, but gives no answer" in page
    assert "one.json cannot be read" in page

    (folder / "tolerance" / "one.json").unlink()
    shutil.rmtree(folder / "limits")
    (folder / "limits").mkdir()
    (folder / "limits" / "study.toml").write_text("not [ a study")
    page = _page(results, folder)
    assert "limits is there, but gives no costs" in page
    assert "not TOML" in page
    assert "holds no answer yet: run vcm-sweep tolerance again" in page

    shutil.rmtree(folder / "limits")
    with Store.create(limits_study(results.study, 8), folder / "limits"):
        pass
    page = _page(results, folder)
    assert f"24 of 24 points are not finished; vcm-sweep resume {folder / 'limits'} goes on where it stopped" in page

    shutil.rmtree(folder / "limits")
    (folder / "limits").write_text("a file")
    assert "limits is there, but gives no costs" in _page(results, folder)
