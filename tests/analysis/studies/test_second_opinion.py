"""Other estimators beside the first: where they agree a small line, where they do not a sentence that says so."""

from dataclasses import replace

import numpy as np
import pytest

from vcm_sweep.analysis import Index, Sensitivity, analyze
from vcm_sweep.analysis.studies.second_opinion import Opinion, second_opinions

from ..synthetic import Array, SyntheticFactor, SyntheticResults, by_trajectories, synthetic_results

FACTORS = (SyntheticFactor("strong", 0.0, 0.08), SyntheticFactor("weak", 0.0, 0.1), SyntheticFactor("inert", 1, 2))


def _accuracy(u: Array) -> Array:
    return np.asarray(0.9 - 0.5 * u[..., 0] - 0.2 * u[..., 1])


@pytest.fixture(scope="module")
def records() -> SyntheticResults:
    return synthetic_results(FACTORS, _accuracy, base=64)


@pytest.fixture(scope="module")
def first(records: SyntheticResults) -> Sensitivity:
    return analyze(records)


def test_saltellis_rows_have_two_further_opinions_which_agree(records: SyntheticResults, first: Sensitivity) -> None:
    opinions = second_opinions(records, first)
    assert [opinion.other.method for opinion in opinions] == ["sobol", "hdmr"]
    for opinion, name in zip(opinions, ("Pick-freeze", "HDMR"), strict=True):
        assert opinion.agrees
        assert opinion.words().startswith(f"{name} (known to ±")
        assert opinion.words().partition(") ")[2].startswith("agrees")
        # 25/29, 4/29 and none: what both must hold, if both are right.
        for (one, two), share in zip(opinion.pairs, (25 / 29, 4 / 29, 0.0), strict=True):
            assert one.factor == two.factor
            assert two.low - 0.01 <= share <= two.high + 0.01


def _changed(result: Sensitivity, factor: str, *numbers: float) -> Sensitivity:
    total = tuple(Index(factor, *numbers) if index.factor == factor else index for index in result.total)
    return replace(result, method="hdmr", indices={**result.indices, "total": total})


def test_intervals_apart_and_verdicts_that_differ_are_one_sentence(first: Sensitivity) -> None:
    apart = Opinion(first, _changed(first, "strong", 0.5, 0.45, 0.55))
    assert not apart.agrees
    assert " disagrees: it gives 50 % [45, 55] of strong, where bounded gives 8" in apart.words()
    finds = Opinion(first, _changed(first, "inert", 0.003, 0.0001, 0.006))
    assert not finds.agrees
    assert finds.words().endswith("disagrees in a verdict: it finds an effect of inert, which is left open here.")
    wide = Opinion(_changed(first, "inert", 0.0, -0.1, 0.3), _changed(first, "inert", 0.3, 0.1, 0.9))
    assert wide.agrees
    assert wide.words() == "HDMR (known to ±40 points or better) agrees, as so wide intervals nearly always do."
    leaves = Opinion(first, _changed(first, "weak", 0.1, -0.2, 0.4))
    assert leaves.agrees
    assert leaves.words() == "HDMR (known to ±30 points or better) agrees, but leaves open whether weak has an effect."


def test_no_opinion_where_there_is_none_to_be_had(records: SyntheticResults) -> None:
    morris = by_trajectories("morris")
    assert second_opinions(morris, analyze(morris)) == ()
    assert second_opinions(records, analyze(records, method="pawn", resamples=100)) == ()
    few = synthetic_results(FACTORS, _accuracy, base=8)
    assert second_opinions(few, analyze(few)) == (), "40 points are too few for either"
