"""Costs, verdicts on published values and the plateau, from records with chosen accuracies."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from vcm_sweep.analysis import AnalysisError, compare_conditions, condition_costs, write_report
from vcm_sweep.cluster.cli import main

from .stored_conditions import stored

BASE = [0.938, 0.941, 0.933, 0.940, 0.937]
WORSE = [0.890, 0.896, 0.886, 0.895, 0.893]
EQUAL = [0.937, 0.942, 0.934, 0.938, 0.938]


def test_costs_are_paired_and_corrected(tmp_path: Path) -> None:
    found = condition_costs(stored(tmp_path / "x", {"plain": BASE, "worse": WORSE, "equal": EQUAL}))
    known = stats.ttest_rel(BASE, WORSE)
    worse, equal = found["worse"], found["equal"]
    assert worse.cost.value == pytest.approx(np.mean(BASE) - np.mean(WORSE))
    assert (worse.cost.low, worse.cost.high) == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert worse.p == pytest.approx(2 * known.pvalue)  # the smaller of two
    assert equal.p == pytest.approx(stats.ttest_rel(BASE, EQUAL).pvalue)
    assert (worse.costs(found.level), equal.costs(found.level)) == (True, False)
    assert math.isnan(found["plain"].cost.value)
    assert found.answer()[0].startswith("worse costs most accuracy, 4.6 points [")
    assert [row.name for row in found.ranking()] == ["worse", "equal"]


def test_the_interval_of_a_mean_accuracy_ends_at_100_per_cent(tmp_path: Path) -> None:
    found = condition_costs(stored(tmp_path / "x", {"plain": [0.90, 0.91, 0.62], "worse": [0.1, 0.11, 0.4]}))
    plain, worse = found["plain"].mean, found["worse"].mean
    assert stats.t.interval(0.95, 2, plain.value, stats.sem([0.90, 0.91, 0.62])) == pytest.approx(
        (plain.low, 1.22), abs=0.01
    )
    assert (plain.high, worse.low) == (1.0, 0.0)
    assert math.isnan(condition_costs(stored(tmp_path / "y", {"plain": [0.9], "worse": [0.8]}))["plain"].mean.high)
    assert (
        condition_costs(stored(tmp_path / "z", {"plain": [0.1, 0.9], "worse": [0.1, 0.9]}), "loss")["plain"].mean.high
        > 1
    )


def test_less_of_a_loss_is_a_gain(tmp_path: Path) -> None:
    found = condition_costs(stored(tmp_path / "x", {"plain": BASE, "worse": WORSE}), "loss")
    assert found["worse"].cost.value == pytest.approx(np.mean(BASE) - np.mean(WORSE))
    assert found["worse"].published is None


def test_published_values_agree_differ_or_are_open(tmp_path: Path) -> None:
    spread = "published_sd = 0.3\npublished_n = 5"
    published = {
        "plain": "published = 93.8",
        "worse": f"published = 93.0\n{spread}",
        "equal": f"published = 93.8\n{spread}",
        "open": "published = 92.5",
    }
    wide = [0.90, 0.95, 0.93, 0.96, 0.94]
    results = stored(tmp_path / "x", {"plain": BASE, "worse": WORSE, "equal": EQUAL, "open": wide}, published)
    found = condition_costs(results)
    verdicts = {row.name: row.published.verdict for row in found.rows if row.published}
    assert verdicts == {"plain": "agrees", "worse": "differs", "equal": "agrees", "open": "cannot tell"}
    theirs = found["worse"].published
    assert theirs is not None
    ours = np.array(WORSE)
    known = stats.ttest_ind_from_stats(ours.mean(), ours.std(ddof=1), 5, 0.93, 0.003, 5, equal_var=False)
    assert theirs.p == pytest.approx(4 * known.pvalue)
    assert theirs.difference.value == pytest.approx(ours.mean() - 0.93)
    told = found["open"].published
    assert told is not None
    assert told.more is not None
    assert told.words() == f"cannot tell, {told.more} more trainings would"
    assert any("No spread was published of plain, open" in note for note in found.notes())
    assert [row.name for row in found.as_published()] == ["plain", "equal", "worse", "open"]
    assert found.answer()[1] == (
        "Published values, 4: ours agrees with 2 (plain, equal); differs from 1 (worse); of 1 the data cannot tell "
        "(open)."
    )


def test_who_left_the_plateau_and_what_those_reach(tmp_path: Path) -> None:
    results = stored(tmp_path / "x", {"plain": BASE, "two kinds": [0.1135, 0.90, 0.91, 0.10, 0.92]})
    found = condition_costs(results)
    row = found["two kinds"]
    assert row.left.value == pytest.approx(3 / 5)
    known = stats.binomtest(3, 5).proportion_ci(method="wilson")
    assert (row.left.low, row.left.high) == pytest.approx((known.low, known.high))
    assert row.trained.value == pytest.approx(0.91)
    assert any(note.startswith("Some trainings of two kinds diverged or stayed") for note in found.notes())
    chance = condition_costs(results, "p_chance")
    assert chance["two kinds"].cost.value == pytest.approx(2 / 5)
    assert chance["two kinds"].p == pytest.approx(0.5)  # two pairs differ, both one way: 2 / 2^2


def test_a_study_that_goes_on_is_analysed_as_far_as_it_is(tmp_path: Path) -> None:
    results = stored(tmp_path / "x", {"plain": BASE, "some": WORSE[:3], "none": []})
    found = condition_costs(results)
    assert (found["some"].trainings, found.waiting) == (3, ("none",))
    assert found["some"].p == pytest.approx(stats.ttest_rel(BASE[:3], WORSE[:3]).pvalue)
    with pytest.raises(AnalysisError, match="the baseline 'plain' has no training yet"):
        condition_costs(stored(tmp_path / "y", {"plain": [], "some": WORSE}))


def test_failed_trainings_are_not_left_out_in_silence(tmp_path: Path) -> None:
    results = stored(tmp_path / "x", {"plain": BASE, "breaks": [*WORSE[:4], math.inf], "worse": WORSE})
    found = condition_costs(results)
    assert math.isnan(found["breaks"].mean.value)
    assert math.isnan(found["breaks"].p)
    assert found["worse"].p == pytest.approx(stats.ttest_rel(BASE, WORSE).pvalue)
    assert any(note.startswith("breaks: a training without a result") for note in found.notes())
    dropped = condition_costs(results, policy="drop-block")["breaks"]
    assert (dropped.mean.value, dropped.left.value) == (pytest.approx(np.mean(WORSE[:4])), pytest.approx(0.8))
    filled = condition_costs(results, policy="worst-case")["breaks"]
    assert filled.mean.value == pytest.approx(np.mean([*WORSE[:4], min(WORSE)]))


def test_two_studies_are_compared_by_name(tmp_path: Path) -> None:
    one = stored(tmp_path / "one", {"plain": BASE, "worse": WORSE, "gone": EQUAL}, name="one")
    other = stored(tmp_path / "other", {"plain": EQUAL, "worse": BASE, "new": BASE}, name="other", seed=2)
    found = compare_conditions(one, other)
    assert [shift.name for shift in found.shifts] == ["plain", "worse"]
    known = stats.ttest_ind(BASE, WORSE, equal_var=False)
    assert found.shifts[1].p == pytest.approx(2 * known.pvalue)
    low, high = known.confidence_interval(0.95)
    assert (found.shifts[1].difference.low, found.shifts[1].difference.high) == pytest.approx((low, high))
    assert found.only == (("gone",), ("new",))
    assert found.answer()[0].startswith(
        "1 of 2 common conditions are found to differ in accuracy; most worse, 4.6 points"
    )


def test_two_studies_of_the_same_seeds_are_compared_by_pairs(tmp_path: Path) -> None:
    """A small change that luck hides from Welch's test is found by the paired one, over trainings that both have."""
    luck = np.array([0.93, 0.91, 0.95, 0.90, 0.94])
    less = luck - np.array([0.004, 0.005, 0.006, 0.004, 0.005])
    one = stored(tmp_path / "one", {"plain": luck, "worse": luck}, name="one")
    other = stored(tmp_path / "other", {"plain": luck, "worse": [*less, 0.5, 0.5]}, name="other")
    plain, worse = compare_conditions(one, other).shifts
    known = stats.ttest_rel(less, luck)
    assert worse.p == pytest.approx(2 * known.pvalue)
    low, high = known.confidence_interval(0.95)
    assert (worse.difference.low, worse.difference.high) == pytest.approx((low, high))
    assert stats.ttest_ind(less, luck, equal_var=False).pvalue > 0.3
    assert (plain.difference.value, plain.p) == (0.0, 1.0)
    said = " ".join(compare_conditions(one, other).remarks)
    assert "the paired t test" in said
    assert "same seeds" in said
    assert "McNemar's exact" in " ".join(compare_conditions(one, other, "p_chance").remarks)


def test_the_page_the_table_and_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = {"plain": "published = 93.8", "worse": "published = 89.0\npublished_sd = 0.5\npublished_n = 5"}
    accuracies = {"plain": BASE, "worse": WORSE, "<b>": [0.1] * 5, "none": []}
    page = write_report(stored(tmp_path / "x", accuracies, published), tmp_path / "out")
    html, text = page.read_text(encoding="utf-8"), (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "<b>" not in html
    assert "| worse | 89.20 [88.70, 89.70] | 0.41 | 5 | 89.00 (sd 0.50, 5 trainings) |" in text
    assert {path.name for path in (tmp_path / "out" / "report").glob("*.png")} == {"published.png", "costs.png"}
    lines = pq.read_table(tmp_path / "out" / "indices.parquet").to_pylist()
    assert {line["kind"] for line in lines if line["condition"] == "worse"} == {
        "mean", "cost", "left_plateau", "mean_if_left", "ours_minus_published",
    }  # fmt: skip
    shutil.copytree(tmp_path / "x", tmp_path / "y")
    for command in ("analyze", "compare"):
        folders = [str(tmp_path / name) for name in ("x", "y")][: 2 if command == "compare" else 1]
        out = ["--out", str(tmp_path / "side")] if command == "compare" else []
        assert main([command, *folders, *out]) == 0
        assert "worse" in capsys.readouterr().out
        assert main([command, *folders, *out, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["metric"] == "accuracy"
    for command in (["analyze", str(tmp_path / "x")], ["report", str(tmp_path / "x")], ["compare", *folders]):
        assert main([*command, "--method", "sobol"]) == 5
        assert "a study of conditions has no points" in capsys.readouterr().err


def test_one_training_of_each_has_no_interval(tmp_path: Path) -> None:
    found = condition_costs(
        stored(tmp_path / "x", {"plain": BASE[:1], "worse": WORSE[:1]}, {"worse": "published = 89.0"})
    )
    assert math.isnan(found["worse"].mean.low)
    theirs = found["worse"].published
    assert theirs is not None
    assert theirs.words() == "cannot tell, ours has no spread"
    assert any(note.startswith("One training of each condition has no interval") for note in found.notes())
    assert found.answer() == (
        "No condition is found to cost accuracy against plain, of 0 compared.",
        "Published values, 1: of 1 the data cannot tell (worse).",
    )


def test_trainings_without_a_value_are_left_out_of_a_mean_and_that_is_told(tmp_path: Path) -> None:
    """At chance a training has no value of accuracy_trained; there is nothing to retry."""
    found = condition_costs(stored(tmp_path / "x", {"plain": BASE, "b": [*WORSE[:4], 0.1]}), metric="accuracy_trained")
    assert found["b"].mean.value == pytest.approx(np.mean(WORSE[:4]))
    assert found.remarks[-1] == "Trainings of b without a value are left out of the mean."
    assert not any("retry" in remark for remark in found.remarks)


def test_a_study_of_two_machines_has_one_name_and_both_are_told(tmp_path: Path) -> None:
    one = stored(tmp_path / "here" / "same", {"plain": BASE, "gone": EQUAL}, name="same")
    other = stored(tmp_path / "there" / "same", {"plain": EQUAL, "new": BASE}, name="same", seed=2)
    found = compare_conditions(one, other)
    assert found.to_dict()["only"] == {"same (first)": ["gone"], "same (second)": ["new"]}
