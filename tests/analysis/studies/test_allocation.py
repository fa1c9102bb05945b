"""The advice to run every row twice, or more rows and only some of them twice, is the better choice."""

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, Sensitivity, sobol_indices
from vcm_sweep.analysis.studies.allocation import replicates_advice

from ..synthetic import ISHIGAMI_VARIANCE, NAMES, ishigami, saltelli_random, with_noise


def _study(seed: int, base: int, luck: float, pairs: float) -> Sensitivity:
    rng = np.random.default_rng(seed)
    u = saltelli_random(rng, base, 4)
    y = with_noise(rng, ishigami(u), 2, np.sqrt(ISHIGAMI_VARIANCE * luck / (1 - luck)))
    twice = rng.permutation(y[..., 1].size).reshape(y.shape[:2]) < pairs * y[..., 1].size
    y[..., 1] = np.where(twice, y[..., 1], np.nan)
    return sobol_indices(y, NAMES, resamples=200)


def _spread(base: int, luck: float, pairs: float) -> float:
    total = [[index.value for index in _study(s, base, luck, pairs).total] for s in range(60)]
    return float(np.std(total, axis=0).max())


def test_with_little_luck_pairs_on_an_eighth_are_advised_and_better() -> None:
    """At equal trainings: 144 blocks twice, or 256 once and an eighth of the rows twice."""
    advice = replicates_advice(_study(1, 256, 0.1, 1.0), 896)
    assert "one run of every point and replicate_rows = 112" in advice
    assert _spread(256, 0.1, 0.125) < 0.8 * _spread(144, 0.1, 1.0)


def test_with_much_luck_every_row_twice_is_advised() -> None:
    assert "run every point twice" in replicates_advice(_study(1, 512, 0.6, 1.0), 896)
    found = []
    for seed in range(40):
        try:
            found.append(_study(seed, 256, 0.6, 0.125).total[0].value)
        except AnalysisError:
            continue
    assert np.std(found) > np.std([_study(s, 144, 0.6, 1.0).total[0].value for s in range(40)])


@pytest.mark.parametrize("luck", [0.38])
def test_between_them_nothing_is_advised(luck: float) -> None:
    assert replicates_advice(_study(1, 512, luck, 1.0), 896) == ""
