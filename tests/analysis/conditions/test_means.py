"""Tests of means are those of scipy.stats; Holm's correction and the number that would tell are counted by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.analysis.conditions.means import Moments, against, fisher, holm, mcnemar, mean_of, more_needed
from vcm_sweep.analysis.limits.pairs import difference_of_samples
from vcm_sweep.analysis.results.index import Index

OURS = np.array([0.9290, 0.9412, 0.9396, 0.9343, 0.8996])


def test_a_mean_has_student_s_interval_and_p() -> None:
    found = mean_of("a", OURS - 0.938, 0.95)
    known = stats.ttest_1samp(OURS, 0.938)
    low, high = stats.t.interval(0.95, 4, loc=OURS.mean() - 0.938, scale=stats.sem(OURS))
    assert found.p == pytest.approx(known.pvalue)
    assert (found.mean.low, found.mean.high) == pytest.approx((low, high))
    paired = mean_of("a", OURS - OURS[::-1] - 0.01 * np.arange(5), 0.9)
    assert paired.p == pytest.approx(stats.ttest_rel(OURS, OURS[::-1] + 0.01 * np.arange(5)).pvalue)


def test_values_that_do_not_spread_and_single_ones_are_no_nan_test() -> None:
    equal = mean_of("a", np.array([0.1, 0.1, 0.1]), 0.95)
    assert (equal.mean.value, equal.p) == (0.1, stats.binomtest(3, 3).pvalue)
    assert math.isnan(equal.mean.low)
    assert mean_of("a", np.zeros(3), 0.95) == (Index("a", 0.0, 0.0, 0.0), 1.0)
    assert against("a", Moments(0.9, 0.0, 4), Moments(0.8, None, None), 0.95).p == stats.binomtest(4, 4).pvalue
    one = mean_of("a", np.array([0.3, math.nan]), 0.95)
    assert one.mean.value == 0.3
    assert math.isnan(one.mean.low)
    assert math.isnan(one.p)
    assert math.isnan(mean_of("a", np.array([]), 0.95).mean.value)


def test_a_published_mean_is_compared_by_welch_or_alone() -> None:
    ours = Moments.of(OURS)
    theirs = Moments(0.938, 0.003, 8)
    known = stats.ttest_ind_from_stats(ours.mean, ours.sd, ours.n, 0.938, 0.003, 8, equal_var=False)
    found = against("a", ours, theirs, 0.95)
    assert found.p == pytest.approx(known.pvalue)
    raw = np.random.default_rng(1).normal(size=8)
    raw = 0.938 + 0.003 * (raw - raw.mean()) / raw.std(ddof=1)  # a sample with exactly these moments
    low, high = stats.ttest_ind(OURS, raw, equal_var=False).confidence_interval(0.95)
    assert (found.mean.low, found.mean.high) == pytest.approx((low, high))
    alone = against("a", ours, Moments(0.938, None, None), 0.95)
    assert alone.p == pytest.approx(stats.ttest_1samp(OURS, 0.938).pvalue)


def test_equal_values_in_two_samples_are_as_rare_as_their_permutations() -> None:
    ours, theirs = Moments.of(np.full(4, 0.913)), Moments.of(np.full(3, 0.9))
    assert (ours.sd, ours.mean) == (0.0, 0.913)
    exact = stats.permutation_test((np.full(4, 0.913), np.full(3, 0.9)), lambda a, b: a.mean() - b.mean())
    assert against("a", ours, theirs, 0.95).p == pytest.approx(exact.pvalue)
    # Numbers whose mean and deviation are off by rounding.
    for value in np.arange(1, 400) / 437:
        equal = Moments.of(np.full(7, value))
        assert against("a", equal, Moments(float(value), None, None), 0.95).p == 1.0
        assert against("a", equal, Moments(float(value) - 1e-3, None, None), 0.95).p == stats.binomtest(7, 7).pvalue


def test_few_values_of_few_test_samples_are_no_finding() -> None:
    """Accuracies on 30 test samples are often equal in both pairs: that alone is no difference."""
    rng = np.random.default_rng(3)
    pairs = rng.binomial(30, 0.97, (4000, 2, 2)) / 30
    false = np.mean([mean_of("a", one - other, 0.95).p < 0.05 for one, other in pairs])
    assert false < 0.06


def test_shares_of_two_samples_by_scipy() -> None:
    one, other = np.array([1.0, 1, 1, 0, 1, 1, 1, 1]), np.array([0.0, 0, 1, 0, 0, 0])
    assert fisher(one, other) == pytest.approx(stats.fisher_exact([[7, 1], [1, 5]]).pvalue)
    assert math.isnan(fisher(one, other[:0]))
    found = difference_of_samples("a", one, other, 0.95)
    known = [stats.binomtest(k, n).proportion_ci(0.95, "wilson") for k, n in ((7, 8), (1, 6))]
    (l1, u1), (l2, u2) = known
    p, q = 7 / 8, 1 / 6
    assert found.low == pytest.approx(p - q - math.hypot(p - l1, u2 - q))
    assert found.high == pytest.approx(p - q + math.hypot(u1 - p, q - l2))


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none below the one before it.
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005])[:2] == pytest.approx([0.03, 0.06])
    assert math.isnan(holm([0.01, math.nan])[1])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_a_false_finding() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(size=(2000, 1, 5))  # a baseline that all costs have in common
    x = shared - rng.normal(size=(2000, 8, 5))
    p = stats.ttest_1samp(x, 0.0, axis=2).pvalue
    false = np.mean([min(holm(row)) < 0.05 for row in p])
    assert 0.01 < false < 0.062
    assert np.mean(p.min(axis=1) < 0.05) > 0.15


def test_the_number_that_would_tell_is_the_first_that_does() -> None:
    ours, theirs, margin = Moments(0.9300, 0.006, 5), Moments(0.9340, 0.004, 30), 0.01
    more = more_needed(ours, theirs, margin, 0.95)
    assert more is not None

    def half(n: int) -> float:
        a, b = ours.sd**2 / n, theirs.sd**2 / theirs.n  # type: ignore[operator]
        df = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / 29)
        return float(stats.t.ppf(0.975, df) * math.sqrt(a + b))

    told = [n for n in range(6, 100) if half(n) < max(0.004, margin - 0.004)]
    assert 5 + more == told[0]
    # A published mean that is itself not known well enough is never told.
    assert more_needed(ours, Moments(0.9340, 0.02, 5), margin, 0.95) is None
    assert more_needed(Moments(0.93, None, 1), theirs, margin, 0.95) is None


def test_pairs_of_outcomes_by_mcnemar() -> None:
    one, other = np.array([1, 1, 1, 1, 1, 0, 1, np.nan]), np.array([0, 0, 0, 0, 0, 0, 1, 1.0])
    assert mcnemar(one, other) == pytest.approx(2 / 2**5)  # five pairs differ, all one way
    assert mcnemar(other, other) == 1.0
    assert math.isnan(mcnemar(np.array([np.nan]), np.array([1.0])))


def test_a_difference_must_pass_a_stricter_level_than_agreement() -> None:
    ours, theirs = Moments(0.9300, 0.006, 5), Moments(0.9340, 0.004, 300)
    plain, strict = (more_needed(ours, theirs, 0.001, 0.95, level) for level in (None, 0.998))
    assert plain is not None
    assert strict is not None
    assert strict > 2 * plain
    # Agreement needs the plain level whatever that of a difference is.
    assert more_needed(ours, theirs, 0.1, 0.95, 0.998) == more_needed(ours, theirs, 0.1, 0.95)
