"""The study of docs/space: 1,024 trainings on points in space, and what docs/example's 4,608 say of its factors."""

from pathlib import Path

import pytest

from vcm_sweep.analysis import analyze
from vcm_sweep.sweep import open_results

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.slow
def test_few_trainings_agree_with_many() -> None:
    """The referees are methods that know no surrogate: pick-freeze, and a series fitted by least squares (HDMR)."""
    few = analyze(open_results(DOCS / "space"))
    many = open_results(DOCS / "example")
    assert (few.method, few.units) == ("bounded", 512)
    assert len(many.table()) == 4.5 * len(open_results(DOCS / "space").table())
    found = {index.factor: index for index in few.total}
    for method in ("sobol", "hdmr"):
        for other in analyze(many, method=method).total:
            one = found[other.factor]
            assert one.low <= other.high, (method, other.factor)
            assert other.low <= one.high, (method, other.factor)
    first = few.ranking()[0]
    assert first.factor == "mismatch.global.mean"
    assert first.low < 0.89 < first.high
    # Pick-freeze knows it less than half as well from more than four times as many trainings.
    pick_freeze = analyze(many, method="sobol").ranking()[0]
    assert first.high - first.low < 0.5 * (pick_freeze.high - pick_freeze.low)
