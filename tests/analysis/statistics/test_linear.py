"""Intervals of numbers that lie between two estimated ones: right at every gap and every level of confidence."""

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.analysis.statistics.linear import Bounds, Estimated


@pytest.mark.parametrize("confidence", [0.5, 0.765, 0.85, 0.9, 0.945, 0.95, 0.999])
def test_the_ends_are_moved_out_by_what_the_gap_asks_for(confidence: float) -> None:
    gaps = np.concatenate([np.linspace(0.0, 12.0, 60), [1e3]])
    blocks = np.tile([[-1.0], [1.0]], len(gaps))
    low = Estimated.mean(blocks)
    found, _ = Bounds(low, Estimated(low.value + gaps * low.error, low.influence)).interval(confidence)
    c = (low.value - found) / low.error
    # Imbens and Manski's equation: a number at an end is missed on its own side, or else beyond the other end.
    assert stats.norm.cdf(c + gaps) - stats.norm.cdf(-c) == pytest.approx(confidence, abs=1e-6)
    assert np.all(np.diff(c) <= 1e-9)
