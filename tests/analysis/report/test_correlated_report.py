"""The example of correlated factors runs, and its report says how factors are distributed and what ranks them."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.synthetic import DesignedResults, designed_results
from vcm_sweep.analysis import AnalysisError, analyze, ask, write_report
from vcm_sweep.sweep import InProcessExecutor, Study, open_results, run, train

TEXT = (Path(__file__).parents[3] / "studies" / "correlated.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results() -> DesignedResults:
    """Accuracies that depend on r alone, and on the wafer."""

    def accuracy(x: np.ndarray) -> np.ndarray:
        return np.asarray(0.9 - 4.0 * x[..., 0] - 0.3 * np.abs(x[..., 3]))

    return designed_results(Study.from_text(TEXT), accuracy, sd=0.01)


def test_the_example_runs(tmp_path: Path) -> None:
    short = TEXT.replace("n = 256", "n = 8\nreplicates = 1").replace("epochs = 5", "epochs = 1\ntrain_samples = 64")
    run(Study.from_text(short), InProcessExecutor(train), tmp_path, pack=8)
    found = open_results(tmp_path)
    assert found.counts() == {"ok": 8}
    table = found.table()
    assert set(table["x_mismatch.global.mean"].to_pylist()) <= {-0.4, 0.0, 0.3}
    assert table["x_r.d2d.sigma"].to_pylist() == found.design.points[:, 0].tolist()


def test_correlated_factors_are_ranked_by_shapley_effects(results: DesignedResults) -> None:
    found = analyze(results)
    assert (found.method, found.kind) == ("bounded-shapley", "shapley")
    effects = {index.factor: index for index in found["shapley"]}
    # l has no effect of its own, and tells of r; the noise, which is independent, tells of nothing.
    assert effects["l.d2d.sigma"].low > 0.02
    assert effects["read.noise.sigma"].high < 0.1
    with pytest.raises(
        AnalysisError, match=r"bounded takes factors for independent, and .* bounded-shapley, pawn, delta"
    ):
        analyze(results, method="bounded")
    with pytest.raises(AnalysisError, match="takes factors for independent"):
        ask(results)
    assert analyze(results, method="pawn").method == "pawn"


def test_the_report_has_the_laws_in_words(results: DesignedResults, tmp_path: Path) -> None:
    page = write_report(results, tmp_path).read_text(encoding="utf-8")
    said = (tmp_path / "report.md").read_text(encoding="utf-8")
    for text in (
        "0.0091 to 0.0709, normal, mean 0.04, sd 0.01, cut at its 0.1 % and 99.9 % quantiles",
        "log-normal, median 0.01, sigma 0.7",
        "-0.4 (25 %), 0 (50 %), 0.3 (25 %)",
        "Factors are correlated (l.d2d.sigma with r.d2d.sigma 0.6, by rank)",
    ):
        assert text in said
    assert "Shapley effect" in page
    ranges = json.loads((tmp_path / "indices.json").read_text(encoding="utf-8"))["ranges"]
    normal = ranges["r.d2d.sigma"]
    assert {name: normal[name] for name in ("distribution", "mean", "sd", "tail")} == {
        "distribution": "norm", "mean": 0.04, "sd": 0.01, "tail": 0.001,
    }  # fmt: skip
    assert (normal["low"], normal["high"]) == pytest.approx((0.0091, 0.0709), abs=1e-4)
    assert "name" not in normal
    assert ranges["mismatch.global.mean"]["values"] == [-0.4, 0.0, 0.3]
