"""A study's records by every method, metric and failure policy, from synthetic records with known answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import qmc

from vcm_sweep.analysis import AnalysisError, analyze
from vcm_sweep.analysis.records.metrics import METRICS
from vcm_sweep.analysis.studies.analysis import GIVEN, METHODS

from ..synthetic import (
    Array,
    SyntheticFactor,
    SyntheticResults,
    morris_trajectories,
    shapley_trajectories,
    synthetic_design,
    synthetic_results,
    synthetic_study,
    with_noise,
)

FACTORS = (SyntheticFactor("strong", 0.0, 0.08), SyntheticFactor("weak", 0.0, 0.1), SyntheticFactor("inert", 1, 2))


def _accuracy(u: Array) -> Array:
    return np.asarray(0.9 - 0.5 * u[..., 0] - 0.2 * u[..., 1])


def _results(base: int = 128, **options: object) -> SyntheticResults:
    return synthetic_results(FACTORS, _accuracy, base=base, **options)  # type: ignore[arg-type]


def _by_points() -> SyntheticResults:
    u = qmc.Sobol(3, rng=1).random(256)[:, None]
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    study = synthetic_study(FACTORS, design=synthetic_design("space", n=256))
    return SyntheticResults(study, low + u * (high - low), with_noise(np.random.default_rng(1), _accuracy(u), 2, 0.02))


def _by_trajectories(method: str) -> SyntheticResults:
    make = morris_trajectories if method == "morris" else shapley_trajectories
    u = make(200, 3, 1)
    y = with_noise(np.random.default_rng(1), _accuracy(u), 2, 0.02)
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    study = synthetic_study(FACTORS, design=synthetic_design(method))
    return SyntheticResults(study, low + u * (high - low), y)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_one_kind_of_result(method: str, tmp_path: Path) -> None:
    results = _by_trajectories(method) if method in ("morris", "shapley") else _results()
    results = _by_points() if method == "bounded-shapley" else results
    result = analyze(results, method=method, resamples=200)
    assert [index.factor for index in result.ranking()][:2] == ["strong", "weak"]
    assert result.verdict("strong") == "matters"
    assert result.verdict("inert").startswith(("not distinguishable from no effect", "matters little"))
    assert result.answer()[0].startswith("Over the stated ranges, strong ")
    assert (result.method, result.metric, result.seeds) == (method, "accuracy", "independent")
    assert result.failures is not None
    assert result.notes()[-1] == "No training failed."
    assert 0.0 < result.luck.low < result.luck.high < 0.2
    # JSON and Parquet hold the same numbers.
    result.write_json(tmp_path / "x.json")
    result.write_parquet(tmp_path / "x.parquet")
    stored = json.loads((tmp_path / "x.json").read_text())
    lines = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert stored["verdicts"]["strong"] == "matters"
    assert stored[result.kind][0]["value"] == result[result.kind][0].value
    ranked = [line for line in lines if line["kind"] == result.kind]
    assert [line["value"] for line in ranked] == [index.value for index in result[result.kind]]
    assert {line["method"] for line in lines} == {method}
    assert [line["kind"] for line in lines].count("luck") == 1


def test_a_design_is_not_analysed_by_the_method_of_another() -> None:
    with pytest.raises(AnalysisError, match=r"morris needs a study with \[design\] method = 'morris'.*rbd-fast"):
        analyze(_results(), method="morris")
    with pytest.raises(AnalysisError, match="'sobl' is not one of sobol, morris"):
        analyze(_results(), method="sobl")
    morris = _by_trajectories("morris")
    assert analyze(morris, method="pawn").ranking()[0].factor == "strong"
    with pytest.raises(
        AnalysisError, match=r"strong: has only 4 values.*method = 'sobol', or the methods pawn or delta"
    ):
        analyze(morris, method="hdmr")
    with pytest.raises(AnalysisError, match="'total' is not one of rms, mu_star, mu, sigma, raw, which morris gives"):
        _ = analyze(morris).total


def test_points_in_space_are_analysed_by_bounds() -> None:
    """512 trainings of a linear output, whose shares are the squares of its slopes: 25/29 and 4/29."""
    u = qmc.Sobol(3, rng=1).random_base2(8)[:, None, :]
    y = with_noise(np.random.default_rng(1), _accuracy(u), 2, 0.05)
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    study = synthetic_study(FACTORS, design=synthetic_design("space", n=256, replicates=2))
    result = analyze(SyntheticResults(study, low + u * (high - low), y), resamples=200)
    assert (result.method, result.unit, result.units) == ("bounded", "points", 256)
    shares = {index.factor: index for index in result.total}
    for factor, share in (("strong", 25 / 29), ("weak", 4 / 29), ("inert", 0.0)):
        assert shares[factor].low <= share <= shares[factor].high
    assert max(verdict.half_width for verdict in result.enough()) < 0.05
    assert result.enough(0.001)[0].words().endswith("more points")
    assert result.verdict("inert").startswith(("not distinguishable", "matters little"))
    with pytest.raises(AnalysisError, match=r"sobol needs a study .* methods for its points are bounded, hdmr, pawn"):
        analyze(SyntheticResults(study, low + u * (high - low), y), method="sobol")


def test_saltellis_rows_are_offered_bounds_first() -> None:
    """The same records: half the width, the same truth; and where they are too few, pick-freeze and what is lacking."""
    records = _results(64)
    bounded, sobol = analyze(records), analyze(records, method="sobol")
    assert (bounded.method, bounded.unit, bounded.units, sobol.method) == ("bounded", "base blocks", 64, "sobol")
    for one, other, share in zip(bounded.total, sobol.total, (25 / 29, 4 / 29, 0.0), strict=True):
        assert one.low <= share <= one.high
        assert other.low <= share <= other.high
    assert bounded.total[0].high - bounded.total[0].low < 0.5 * (sobol.total[0].high - sobol.total[0].low)
    assert bounded.indices.keys() - sobol.indices.keys() == {"second", "unexplained"}
    why = "Pick-freeze indices, since bounded ones, which are several times narrower, lack something: "
    few = analyze(_results(32))
    assert few.method == "sobol"
    assert few.remarks[0].startswith(f"{why}160 points are too few for a verdict, since 1.9 % of the box may hold none")
    assert few.remarks[0].endswith("256 or more are needed (vcm-sweep extend --to 64).")
    once = records.y.copy()
    once[4:, :, 1] = np.nan
    assert analyze(replace(records, y=once)).remarks[0].startswith(f"{why}20 points were trained twice, and 32 or more")
    assert not [remark for remark in sobol.remarks if remark.startswith(why)], "asked for by name"


def test_common_seeds_are_no_obstacle_to_bounds() -> None:
    result = analyze(_results(64, seeds="common"))
    assert result.method == "bounded"
    assert [note for note in result.notes() if note.startswith("Seeds are common to the rows of a base block")]
    assert analyze(_results(64, seeds="common", replicates=1)).method == "sobol", "their noise is not known"


def test_a_loguniform_factor_is_scaled_by_its_distribution() -> None:
    """Linear in the logarithm: an effect of the whole range is the coefficient, whatever the step's place."""
    factors = (SyntheticFactor("wide", 1e-3, 10.0, "loguniform"), SyntheticFactor("flat"))
    u = morris_trajectories(60, 2, 1)
    x = u.copy()
    x[..., 0] = 1e-3 * 1e4 ** u[..., 0]
    y = with_noise(np.random.default_rng(1), 0.5 * u[..., 0], 2, 0.01)
    study = synthetic_study(factors, design=synthetic_design("morris"))
    result = analyze(SyntheticResults(study, x, y))
    assert result["mu_star"][0].value == pytest.approx(0.5, abs=0.01)
    assert abs(result["sigma"][0].value) < 0.05


def test_groups_of_a_design_are_ranked_and_named() -> None:
    results = synthetic_results(FACTORS[:2], lambda u: 0.5 * u[..., 0], base=64)
    design = synthetic_design(groups={"one": ("strong",), "other": ("weak", "inert")})
    x = np.concatenate([results.x, results.x[..., 1:] + 1], axis=2)
    grouped = replace(results, study=synthetic_study(FACTORS, design=design), x=x)
    result = analyze(grouped, method="sobol")
    assert result.factors == ("one", "other")
    assert result.to_dict()["groups"] == {"one": ["strong"], "other": ["weak", "inert"]}


def _failing(results: SyntheticResults, share: float = 1.0) -> SyntheticResults:
    """The same with a training diverged where the strong factor is in its top tenth."""
    high = results.x.reshape(-1, 3)[:, 0] > 0.072
    replicates = results.y.shape[2]
    rng = np.random.default_rng(5)
    where = [k for k in range(high.size * replicates) if high[k // replicates] and rng.random() < share]
    return replace(results, statuses=dict.fromkeys(where, "diverged") | {0: "oom"})


def test_failures_are_refused_until_a_policy_is_named() -> None:
    with pytest.raises(AnalysisError, match=r"trainings failed \(\d+ diverged, 1 oom\).*drop-block or worst-case"):
        analyze(_failing(_results()))
    with pytest.raises(AnalysisError, match="'drop' is not one of fail, drop-block, worst-case"):
        analyze(_results(), policy="drop")


@pytest.mark.parametrize("method", ["sobol", *GIVEN])
def test_dropped_blocks_are_counted_and_failing_has_its_own_sensitivity(method: str) -> None:
    result = analyze(_failing(_results(256)), policy="drop-block", method=method, resamples=200)
    failures = result.failures
    assert failures is not None
    assert failures.dropped == 256 - result.units > 20
    assert failures.kinds["diverged"] > failures.kinds["oom"] == 1
    assert result.failing is not None
    assert result.failing.ranking()[0].factor == "strong"
    assert not result.failing.ranking()[0].includes_zero
    said = " ".join(result.notes())
    assert f"{failures.dropped} of 256 base blocks hold a point without any value" in said
    assert "Failing: Over the stated ranges, strong accounts for" in said
    assert result.to_dict()["failures"]["sensitivity"]["metric"] == "p_failed"


def test_a_row_with_one_failed_replicate_keeps_the_other() -> None:
    results = replace(_results(64), statuses={0: "oom", 7: "error"})
    result = analyze(results, policy="drop-block", method="sobol")
    assert result.units == 64
    assert result.pooled
    assert result.replicated_rows == 64 * 5 - 2


def test_worst_case_stands_in_for_what_failed() -> None:
    results = _failing(_results(256))
    result = analyze(results, policy="worst-case", method="sobol")
    seen = results.y.reshape(-1)[[k for k in range(results.y.size) if k not in results.statuses]]
    assert result.failures is not None
    assert result.failures.worst == pytest.approx(seen.min())
    assert result.units == 256
    losses = analyze(results, "loss", policy="worst-case", resamples=100, method="sobol")
    assert losses.failures is not None
    assert losses.failures.worst == pytest.approx(results.y.max())  # the synthetic loss column is not the block's


def test_probabilities_and_accuracy_given_ok_are_metrics() -> None:
    results = _failing(_results(256), share=0.7)
    diverged = analyze(results, "p_diverged", method="sobol")
    share = sum(s == "diverged" for s in results.statuses.values()) / results.y.size
    assert diverged.mean == pytest.approx(share, abs=0.02)
    assert diverged.ranking()[0].factor == "strong"
    assert diverged.luck.value > 0.1, "whether a training at the edge diverges is partly luck"
    given = analyze(results, "accuracy_ok", method="sobol")
    assert given.failures is not None
    assert given.failures.policy == "drop-block"
    assert not any("two humps" in note for note in given.notes()), "those that diverged are not among them"
    assert given.mean > analyze(results, policy="worst-case", method="sobol").mean
    low = synthetic_results(FACTORS, lambda u: np.where(u[..., 0] > 0.8, 0.1, 0.9 - 0.3 * u[..., 1]), base=256, sd=0.01)
    chance, trained = analyze(low, "p_chance", method="sobol"), analyze(low, "accuracy_trained", method="sobol")
    assert chance.ranking()[0].factor == "strong"
    assert trained.ranking()[0].factor == "weak"
    assert "No training failed." in trained.notes()
    assert any("hold a point without any value and were left out" in note for note in trained.notes())
    assert set(METRICS) >= {"energy", "pulses", "p_diverged", "accuracy_ok"}


def test_the_accuracy_after_an_epoch_is_a_metric_and_a_later_epoch_is_refused() -> None:
    """Histories of these results rise to the accuracy by one law: after any epoch the shares are those at the end."""
    results = _results(64)
    last, second = analyze(results, method="sobol"), analyze(results, "accuracy_epoch_2", method="sobol")
    assert second.mean == pytest.approx(0.1 + (last.mean - 0.1) * (1 - np.exp(-1.0)))
    assert [index.value for index in second.total] == pytest.approx([index.value for index in last.total])
    with pytest.raises(AnalysisError, match=r"accuracy_epoch_9: \d+ of \d+ .* fewer epochs than 9 \(the longest 8\)"):
        analyze(results, "accuracy_epoch_9", method="sobol")
    for name in ("accuracy_epoch_0", "accuracy_epoch_", "accuracy_epoch_1.5", "accuracy_epoch_-1"):
        with pytest.raises(AnalysisError, match=f"metric: {name!r} is not one of accuracy, .*, accuracy_epoch_K"):
            analyze(results, name, method="sobol")


def test_refuses_a_factor_that_never_varied_and_a_policy_that_leaves_nothing() -> None:
    results = _results(64)
    x = results.x.copy()
    x[..., 2] = 1.5
    with pytest.raises(AnalysisError, match=r"inert: never varied \(always 1.5\)"):
        analyze(replace(results, x=x), method="sobol")
    everything = replace(results, statuses=dict.fromkeys(range(results.y.size), "error"))
    with pytest.raises(AnalysisError, match="drop-block leaves nothing"):
        analyze(everything, policy="drop-block", method="sobol")
    with pytest.raises(AnalysisError, match="no training ended"):
        analyze(everything, policy="worst-case", method="sobol")
    with pytest.raises(AnalysisError, match="p_failed: all trainings gave 1"):
        analyze(everything, "p_failed", method="sobol")
