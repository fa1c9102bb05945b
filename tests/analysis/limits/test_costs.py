"""Costs at the limits and their shares through mismatch: known answers, coverage of intervals, and every refusal."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis import AnalysisError, limit_costs, variance_mediation
from vcm_sweep.analysis.limits.mediation import Mediation, mediate
from vcm_sweep.analysis.limits.pairs import Pairs, difference_of_shares, share_of_pairs
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.device import INTERVENTIONS
from vcm_sweep.sweep.designs.limits import LimitsRow

from ..synthetic import SyntheticFactor, SyntheticResults, synthetic_design, synthetic_results, synthetic_study

Array = NDArray[np.float64]

ENDS = (("r.d2d.sigma", "high", 0.08), ("T_0.global.mean", "low", 283.0), ("T_0.global.mean", "high", 323.0))


def pairs(y: Array, rows: tuple[LimitsRow, ...], statuses: dict[int, str] | None = None) -> SyntheticResults:
    """A limits study of these outputs, nothing trained; y: (n, rows)."""
    factors = (
        SyntheticFactor("r.d2d.sigma", 0.0, 0.08, unit="relative"),
        SyntheticFactor("T_0.global.mean", 283, 323, unit="K"),
    )
    design = synthetic_design("limits", seeds="common", arms="mediation" if len(rows) > 4 else "cost")
    study = synthetic_study(factors, design=design)
    return SyntheticResults(study, np.zeros((*y.shape, 2)), y[:, :, None], statuses or {}, rows)


PLAIN = (LimitsRow(), *(LimitsRow(*end) for end in ENDS))
WITH_ARMS = (LimitsRow(), *(LimitsRow(*end, arm) for end in ENDS for arm in ("", *INTERVENTIONS)))


def trained(rng: np.random.Generator, means: list[float], n: int, shared: float = 0.03, own: float = 0.01) -> Array:
    """Outputs with luck of the seed that a block shares, and luck of its own."""
    return np.array(means) + shared * rng.normal(size=(n, 1)) + own * rng.normal(size=(n, len(means)))


def test_costs_are_paired() -> None:
    """The interval is that of the paired differences, a Student's t of which is the oracle, not of two samples."""
    y = trained(np.random.default_rng(1), [0.92, 0.88, 0.91, 0.925], 32)
    result = limit_costs(pairs(y, PLAIN))
    first = result.costs[0]
    assert (first.factor, first.end, first.level, first.pairs) == ("r.d2d.sigma", "high", 0.08, 32)
    gap = y[:, 0] - y[:, 1]
    expected = stats.ttest_1samp(gap, 0.0).confidence_interval(0.95)
    assert first.cost.value == pytest.approx(gap.mean())
    assert (first.cost.low, first.cost.high) == pytest.approx((expected.low, expected.high), abs=0.15 * gap.std() / 5.6)
    unpaired = stats.ttest_ind(y[:, 0], y[:, 1]).confidence_interval(0.95)
    assert first.cost.high - first.cost.low < 0.6 * (unpaired.high - unpaired.low)
    assert [(c.factor, c.end) for c in result.ranking()] == [(f, e) for f, e, _ in (ENDS[0], ENDS[1], ENDS[2])]
    assert "r.d2d.sigma at 0.08 costs most accuracy" in result.answer()[0]
    assert result.rivals(result.ranking()[0]) == ()


def test_a_cost_that_the_data_do_not_tell_from_none_is_no_first_place() -> None:
    y = trained(np.random.default_rng(2), [0.92, 0.9199, 0.9201, 0.92], 16)
    result = limit_costs(pairs(y, PLAIN))
    assert result.answer()[0].startswith("No factor is found to cost accuracy")


@pytest.mark.slow
def test_intervals_of_costs_cover_with_few_pairs() -> None:
    """Over 400 repetitions with 8 and 24 pairs; plain percentiles of 8 pairs would cover 0.88 or so."""
    rng = np.random.default_rng(3)
    for n in (8, 24):
        hit = 0
        for k in range(400):
            y = trained(rng, [0.92, 0.90, 0.91, 0.92], n)
            drawn = Pairs.drawn(n, Resampling(1000, 0.95, k))
            gap = y[:, 0] - y[:, 1]
            value, draws = drawn.means(gap[:, None])
            index = drawn.index("r", float(value[0]), draws[:, 0], n)
            hit += index.low <= 0.02 <= index.high
        assert 0.915 <= hit / 400 <= 0.985, (n, hit)


FALLEN = 0.10
"""Accuracy of a training at chance."""


def with_falls(rng: np.random.Generator, n: int, p: float, mean: float = 0.88) -> Array:
    """Pairs in which the first factor's training ends at chance with probability p."""
    y = trained(rng, [0.92, mean, 0.92, 0.92], n)
    y[:, 1] = np.where(rng.random(n) < p, FALLEN + 0.01 * rng.normal(size=n), y[:, 1])
    return y


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.02, 0.05, 0.10])
def test_a_cost_that_is_partly_chance_is_not_called_smaller_than_it_is(p: float) -> None:
    """Over 200 repetitions of 8, 16 and 32 pairs; over 600 it is .93 to .97, and with the bootstrap alone far less."""
    rng = np.random.default_rng(20)
    true = (1 - p) * 0.04 + p * (0.92 - FALLEN)
    for n in (8, 16, 32):
        hit = alone = 0
        for k in range(200):
            y = with_falls(rng, n, p)
            first = limit_costs(pairs(y, PLAIN), resamples=400, seed=k).costs[0]
            hit += first.cost.low <= true <= first.cost.high + first.unseen
            gap = y[:, 0] - y[:, 1]
            drawn = Pairs.drawn(n, Resampling(400, 0.95, k))
            plain = drawn.index("r", float(gap.mean()), drawn.means(gap[:, None])[1][:, 0], n)
            alone += plain.low <= true <= plain.high
        assert hit / 200 >= 0.90, (n, hit / 200)
        if n * p < 1:
            assert alone / 200 < 0.85, "so the first bound can fail"


def test_what_chance_may_add_is_said_where_no_training_met_it() -> None:
    rng = np.random.default_rng(21)
    none, some = (limit_costs(pairs(with_falls(rng, 32, p), PLAIN)) for p in (0.0, 0.2))
    # Wilson's upper end of 0 of 32 is 10.7 %.
    assert none.costs[0].unseen == pytest.approx(0.107 * 0.88, abs=0.003)
    assert any("Where none of 32 ended at chance, up to 11 % may" in note for note in none.notes())
    assert some.costs[0].unseen == 0.0
    assert some.costs[0].cost.high - some.costs[0].cost.value > 0.05


@pytest.mark.parametrize("p", [0.0, 0.2])
def test_every_accuracy_has_the_same_interval_for_the_same_numbers(p: float) -> None:
    """Of what ended, and after the last epoch, which is the eighth of these histories but for 1.8 % of the way."""
    results = pairs(with_falls(np.random.default_rng(21), 32, p), PLAIN)
    at_the_end, ended, eighth = (
        limit_costs(results, metric) for metric in ("accuracy", "accuracy_ok", "accuracy_epoch_8")
    )
    assert ended.costs == at_the_end.costs
    for one, other in zip(at_the_end.costs, eighth.costs, strict=True):
        assert other.cost.high == pytest.approx(one.cost.high, rel=0.06, abs=1e-3)
        assert other.unseen == pytest.approx(one.unseen, rel=0.06)


def test_seeds_without_a_value_are_told_where_no_training_failed() -> None:
    found = limit_costs(pairs(with_falls(np.random.default_rng(21), 32, 0.2), PLAIN), "accuracy_trained")
    assert found.notes()[-2:] == (
        "No training failed.", "A seed in which one of a pair has no value is left out of that pair."
    )  # fmt: skip


@pytest.mark.slow
def test_equal_costs_are_seldom_called_different_and_the_largest_holds_its_cost() -> None:
    """Ten equal costs, 400 repetitions of 16 pairs: any two, and the one that was chosen for being large."""
    rng = np.random.default_rng(22)
    factors = tuple(SyntheticFactor(f"x{i}", 0.0, 1.0) for i in range(10))
    rows = (LimitsRow(), *(LimitsRow(factor.name, "high", 1.0) for factor in factors))
    study = synthetic_study(factors, design=synthetic_design("limits", seeds="common", arms="cost"))
    apart, of_its_own, held = [], 0, 0
    for k in range(400):
        y = trained(rng, [0.92, *[0.88] * 10], 16)
        found = limit_costs(
            SyntheticResults(study, np.zeros((*y.shape, 10)), y[:, :, None], {}, rows), resamples=600, seed=k
        )
        apart += [pair.separated for pair in found.differences]
        held += found.largest.low <= 0.04 <= found.largest.high
        of_its_own += found.ranking()[0].cost.low <= 0.04 <= found.ranking()[0].cost.high
    assert np.mean(apart) <= 0.06, np.mean(apart)
    assert held / 400 >= 0.94, held / 400
    assert of_its_own / 400 < 0.90, "so the bound before can fail"


def synthetic_mediation(rng: np.random.Generator, n: int, k: int, effect: float = 0.06) -> Mediation:
    """A cost of which 70 % goes away when mismatch is restored, and mismatch alone makes 55 %."""
    y00, y11, y10, y01 = trained(rng, [0.92, 0.92 - effect, 0.92 - 0.3 * effect, 0.92 - 0.55 * effect], n, own=0.02).T
    drawn = Pairs.drawn(n, Resampling(1000, 0.95, k))
    return mediate(drawn, "mismatch", "l.d2d.sigma", "high", 0.1, y00 - y11, y10 - y11, y00 - y01)


@pytest.mark.slow
def test_shares_cover_what_they_should() -> None:
    """Over 200 repetitions, for a cost of twelve standard errors and one of four; all three shares."""
    rng = np.random.default_rng(4)
    for n, effect in ((32, 0.06), (24, 0.024)):
        hits = np.zeros(3)
        given = 0
        for k in range(200):
            found = synthetic_mediation(rng, n, k, effect)
            if found.indirect is None:
                continue
            assert found.pure is not None
            assert found.interaction is not None
            given += 1
            for j, (index, true) in enumerate(((found.indirect, 0.7), (found.pure, 0.55), (found.interaction, 0.15))):
                hits[j] += index.low <= true <= index.high
        assert given > 150
        assert (hits / given >= 0.91).all(), (n, hits / given)
        assert (hits / given <= 0.99).all(), (n, hits / given)


def test_no_share_of_a_cost_that_is_noise() -> None:
    """A cost of none passes two standard errors by chance in one of 40 or so; never is a share given quietly."""
    rng = np.random.default_rng(5)
    found = [synthetic_mediation(rng, 24, k, effect=0.0) for k in range(200)]
    refused = [one for one in found if one.indirect is None]
    assert len(refused) >= 185
    assert all(one.pure is None and one.interaction is None for one in refused)
    assert all("is not above two standard errors, 2 x 0.00" in one.words() for one in refused)


def test_mediations_of_a_study_with_arms() -> None:
    """Rows after each factor: as it is, matched, mismatch only, speed-matched, speed only."""
    rng = np.random.default_rng(6)
    means = [0.92, 0.82, 0.90, 0.84, 0.83, 0.92, *[0.92] * 5, 0.90, 0.90, 0.92, 0.92, 0.90]
    result = limit_costs(pairs(trained(rng, means, 48), WITH_ARMS))
    found = {(m.factor, m.end, m.through): m for m in result.mediations}
    assert len(found) == 6
    mismatch, speed = found["r.d2d.sigma", "high", "mismatch"], found["r.d2d.sigma", "high", "speed"]
    for m, indirect, pure in ((mismatch, 0.8, 0.8), (speed, 0.1, 0.0)):
        assert m.indirect is not None
        assert m.pure is not None
        assert m.interaction is not None
        assert m.indirect.low <= indirect <= m.indirect.high
        assert m.pure.low <= pure <= m.pure.high
        assert m.interaction.value == pytest.approx(m.indirect.value - m.pure.value)
        assert m.total.value == pytest.approx(result.costs[0].cost.value)
    assert found["T_0.global.mean", "low", "mismatch"].indirect is None
    assert "no share" in found["T_0.global.mean", "low", "mismatch"].reason
    late = found["T_0.global.mean", "high", "speed"].indirect
    assert late is not None
    assert late.low <= 1.0 <= late.high


def test_costs_where_less_is_better_are_costs_too() -> None:
    y = 1e-6 * trained(np.random.default_rng(7), [1.0, 1.4, 0.9, 1.0], 16)
    result = limit_costs(pairs(y, PLAIN), "energy")
    assert result.costs[0].cost.value == pytest.approx(0.4e-6, rel=0.1)
    assert result.ranking()[0].factor == "r.d2d.sigma"


def test_probabilities_have_the_intervals_of_counts() -> None:
    """Diverging in 12 of 16 against 0 of 16; never seen is not impossible."""
    y = trained(np.random.default_rng(8), [0.92, 0.88, 0.91, 0.92], 16)
    diverged = {4 * block + 1: "diverged" for block in range(12)}
    result = limit_costs(pairs(y, PLAIN, diverged), "p_diverged")
    r, cold, _ = result.costs
    assert r.cost.value == pytest.approx(0.75)
    assert 0.4 < r.cost.low < 0.55
    assert 0.8 < r.cost.high < 0.95
    assert cold.cost.value == 0.0
    assert cold.cost.high > 0.15
    assert cold.diverged.low == 0.0
    assert cold.diverged.high == pytest.approx(stats.binomtest(0, 16).proportion_ci(method="wilson").high)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe, Stat. Med. 17 (1998) 2635, Table II, method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        # Airway hyper-responsiveness (Bentur et al. 2009), in Fagerland, Lydersen, Laake, Stat. Med. 33 (2014) 2850.
        ((1, 1, 7, 12), -0.507, -0.026),
    ],
)
def test_the_interval_of_paired_probabilities_is_newcombes(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    one, other = np.repeat([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], counts, axis=0).T
    found = difference_of_shares("x", one, other, 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-4)
    expected = stats.binomtest(int(one.sum()), one.size).proportion_ci(method="wilson")
    assert share_of_pairs("x", one, 0.95).low == pytest.approx(expected.low)


def test_failed_trainings_are_left_out_pair_by_pair_or_refused() -> None:
    y = trained(np.random.default_rng(9), [0.92, 0.88, 0.91, 0.92], 16)
    results = pairs(y, PLAIN, {4 * block + 1: "diverged" for block in range(3)} | {4 * 5 + 3: "oom"})
    with pytest.raises(AnalysisError, match=r"4 of 64 trainings failed \(3 diverged, 1 oom\).*name a policy"):
        limit_costs(results)
    dropped = limit_costs(results, policy="drop-block")
    assert [cost.pairs for cost in dropped.costs] == [13, 16, 15]
    assert dropped.costs[0].cost.value == pytest.approx((y[3:, 0] - y[3:, 1]).mean())
    assert dropped.costs[1].cost.value == pytest.approx((y[:, 0] - y[:, 2]).mean())
    assert any("left out of that pair" in note for note in dropped.notes())
    worst = limit_costs(results, policy="worst-case")
    assert worst.costs[0].cost.value > dropped.costs[0].cost.value - 0.01
    assert worst.failures.worst == pytest.approx(np.delete(y.ravel(), [1, 5, 9, 23]).min())
    assert [cost.pairs for cost in limit_costs(results, "accuracy_ok").costs] == [13, 16, 15]


def test_a_factor_that_never_trains_has_no_cost_and_says_so() -> None:
    y = trained(np.random.default_rng(10), [0.92, 0.88, 0.91, 0.92], 16)
    result = limit_costs(pairs(y, PLAIN, {4 * block + 1: "diverged" for block in range(16)}), "accuracy_ok")
    assert result.ranking()[-1].factor == "r.d2d.sigma"
    assert result.costs[0].words() == "not measured"
    assert any("Fewer than 8 pairs have a result for r.d2d.sigma" in note for note in result.notes())
    json.dumps(result.to_dict(), allow_nan=False)


def test_an_end_with_a_single_pair_hides_no_other_cost() -> None:
    y = trained(np.random.default_rng(12), [0.92, 0.2, 0.70, 0.92], 16)
    result = limit_costs(pairs(y, PLAIN, {4 * block + 1: "diverged" for block in range(15)}), policy="drop-block")
    assert result.costs[0].pairs == 1
    assert result.largest.low > 0.15
    assert "T_0.global.mean at 283 K costs most accuracy: 21.9 points [21." in result.answer()[0]
    assert [{pair.larger, pair.smaller} for pair in result.differences] == [
        {"T_0.global.mean low", "T_0.global.mean high"}
    ]


def test_numbers_are_written_as_json_and_parquet(tmp_path: Path) -> None:
    means = [0.92, 0.82, 0.90, 0.84, 0.83, 0.92, *[0.92] * 10]
    result = limit_costs(pairs(trained(np.random.default_rng(11), means, 16), WITH_ARMS))
    result.write_json(tmp_path / "limits.json")
    result.write_parquet(tmp_path / "limits.parquet")
    content = json.loads((tmp_path / "limits.json").read_text())
    assert content["ranking"][0] == "r.d2d.sigma"
    assert content["mediations"][0]["indirect"]["value"] == pytest.approx(0.8, abs=0.1)
    lines = pq.read_table(tmp_path / "limits.parquet").to_pylist()
    assert {line["kind"] for line in lines} >= {"nominal", "cost", "output", "diverged", "total", "indirect", "pure"}
    assert lines[1]["level"] == 0.08


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: pairs(np.full((4, 4), 0.9), PLAIN), "4 pairs are too few"),
        (lambda r: pairs(np.full((16, 4), 0.1), PLAIN), "all 64 trainings diverged or ended at chance level"),
        (lambda r: pairs(np.full((16, 4), 0.9), PLAIN), "all trainings gave 0.9"),
        (lambda r: pairs(np.full((16, 4), 0.9), PLAIN, {4 * b: "diverged" for b in range(16)}), "name a policy"),
        (lambda r: r, r"costs need a study with \[design\] method = 'limits'"),
    ],
)
def test_what_carries_no_cost_is_one_line(change: object, words: str) -> None:
    other = synthetic_results((SyntheticFactor("r"), SyntheticFactor("l")), lambda u: u[..., 0], base=16)
    with pytest.raises(AnalysisError, match=words) as refused:
        limit_costs(change(other))  # type: ignore[operator]
    assert "\n" not in str(refused.value)


def test_chance_level_is_a_cost_where_the_nominal_device_trained() -> None:
    """Every end of every range ruins the training: that is what the study asked, and its answer."""
    y = trained(np.random.default_rng(8), [0.92, 0.1, 0.1, 0.1], 16)
    found = limit_costs(pairs(y, PLAIN))
    assert all(cost.cost.value == pytest.approx(0.82, abs=0.02) for cost in found.costs)


def test_a_nominal_device_that_never_trains_compares_with_nothing() -> None:
    results = pairs(np.full((16, 4), 0.9), PLAIN, {4 * b: "diverged" for b in range(16)})
    with pytest.raises(AnalysisError, match="the nominal device has no result in any of 16 pairs"):
        limit_costs(results, policy="drop-block")


def two_studies(
    rng: np.random.Generator, left: float, base: int = 128, same_points: bool = False
) -> tuple[SyntheticResults, SyntheticResults]:
    """Output 2 x1 + 2 x2, of whose first term only a part is left in the matched study."""
    factors = (SyntheticFactor("x1"), SyntheticFactor("x2"), SyntheticFactor("dummy"))
    made = []
    for part, kind in ((1.0, ""), (left, "matched")):
        results = synthetic_results(
            factors, lambda u, part=part: 2 * part * u[..., 0] + 2 * u[..., 1], base=base, replicates=2, sd=0.5,
            seed=int(rng.integers(1 << 30)), scrambled=False,
        )  # fmt: skip
        if same_points and made:
            # The same rows, with luck of their own.
            u = made[0].x
            noise = 0.5 * rng.normal(size=results.y.shape)
            results = replace(results, x=u, y=(2 * part * u[..., 0] + 2 * u[..., 1])[..., None] + noise)
        device = {"intervention": {"kind": kind}} if kind else {}
        made.append(replace(results, study=replace(results.study, device=device)))
    return made[0], made[1]


@pytest.mark.slow
@pytest.mark.parametrize("same_points", [False, True])
def test_the_share_of_variance_covers(same_points: bool) -> None:
    """1 - (1/2)^2 of x1's and none of x2's total variance goes away, over 200 repetitions; the dummy has no share."""
    rng = np.random.default_rng(12)
    hits, refused = np.zeros(2), 0
    for k in range(200):
        x1, x2, dummy = variance_mediation(*two_studies(rng, 0.5, same_points=same_points), resamples=400, seed=k)
        for j, (found, true) in enumerate(((x1, 0.75), (x2, 0.0))):
            assert found.share is not None
            hits[j] += found.share.low <= true <= found.share.high
        refused += dummy.share is None
    assert (hits / 200 >= 0.91).all(), hits
    assert (hits / 200 <= 0.99).all(), hits
    assert refused >= 185
    assert dummy.share is not None or "is not above noise" in dummy.reason


def test_two_studies_that_are_no_pair_are_refused() -> None:
    plain, matched = two_studies(np.random.default_rng(13), 0.5, base=16)
    with pytest.raises(AnalysisError, match="kind = 'matched' and the first none; they have '' and ''"):
        variance_mediation(plain, plain)
    with pytest.raises(AnalysisError, match="kind = 'speed_matched' and the first none"):
        variance_mediation(plain, matched, through="speed")
    with pytest.raises(AnalysisError, match="through: 'heat' is not one of mismatch, speed"):
        variance_mediation(plain, matched, through="heat")
