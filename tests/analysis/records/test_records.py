"""From a study file through design, run, store and analysis, with known functions in place of training."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import Sensitivity, analyze
from vcm_sweep.sweep import InProcessExecutor, Results, Study, extend, open_results, run

from ..answering import TEXT, answering
from ..synthetic import (
    ISHIGAMI_13,
    ISHIGAMI_FIRST,
    ISHIGAMI_SHAPLEY,
    ISHIGAMI_TOTAL,
    Array,
    g_function,
    g_indices,
    ishigami,
)

A = np.array([0.5, 1.0, 4.0, 9.0])


def study(said: str = "", method: str = "sobol") -> Study:
    return Study.from_text(f"{TEXT}{said}\n".replace("sobol", method))


def results_of(said: str, executor: InProcessExecutor, folder: Path, method: str = "sobol") -> Results:
    run(study(said, method), executor, folder, pack=512)
    return open_results(folder)


def assert_covers(result: Sensitivity, kind: str, truth: Array) -> None:
    """Within the interval, or as near as its half is wide."""
    for index, true in zip(result[kind], truth, strict=True):
        slack = (index.high - index.low) / 2
        assert index.low - slack <= true <= index.high + slack, (kind, index, true)


def test_second_order_tells_which_pair_interacts(tmp_path: Path) -> None:
    results = results_of("second_order = true", answering(ishigami), tmp_path / "out")
    assert results.blocks().shape == (256, 10, 2)
    result = analyze(results, method="sobol")
    assert_covers(result, "first", ISHIGAMI_FIRST)
    assert_covers(result, "total", ISHIGAMI_TOTAL)
    assert_covers(result, "second", np.array([0, ISHIGAMI_13, 0, 0, 0, 0]))
    strongest = result.interactions()[0]
    assert strongest.name == "r.d2d.sigma × read.noise.sigma"
    assert strongest.low > 0


def test_groups_are_ranked_as_wholes(tmp_path: Path) -> None:
    """Also extended: half of the points first, then the other half, taken from what the folder says."""
    said = '[design.groups]\nspread = ["l.d2d.sigma", "r.d2d.sigma"]'
    executor = answering(lambda u: g_function(u, A), training_sd=0.2)
    text = f"{TEXT}{said}\n".replace("n = 256", "n = 128")
    run(Study.from_text(text), executor, tmp_path / "out", pack=512)
    _, longer = extend(tmp_path / "out", to=512)
    run(longer, executor, tmp_path / "out", pack=512)
    results = open_results(tmp_path / "out")
    assert results.blocks().shape == (512, 5, 2)
    result = analyze(results, method="sobol")
    assert result.factors == ("spread", "mismatch.global.mean", "read.noise.sigma")
    assert dict(result.groups)["spread"] == ("r.d2d.sigma", "l.d2d.sigma")
    first, total, _ = g_indices(A, [[0, 3], [1], [2]])
    assert_covers(result, "first", first)
    assert_covers(result, "total", total)
    assert result.ranking()[0].factor == "spread"
    # Of any points: the factors one by one.
    assert analyze(results, method="pawn").factors == tuple(f.name for f in results.study.factors)


def test_two_groups_of_second_order_have_their_interaction(tmp_path: Path) -> None:
    """Here two rows of each block are one and the same point, with luck of their own."""
    said = 'second_order = true\n[design.groups]\na = ["r.d2d.sigma", "l.d2d.sigma"]\n'
    said += 'b = ["mismatch.global.mean", "read.noise.sigma"]'
    executor = answering(lambda u: g_function(u, A), training_sd=0.2)
    result = analyze(results_of(said, executor, tmp_path / "out"), method="sobol")
    first, total, second = g_indices(A, [[0, 3], [1, 2]])
    assert_covers(result, "first", first)
    assert_covers(result, "total", total)
    assert_covers(result, "second", second)


def test_groups_of_morris_step_together(tmp_path: Path) -> None:
    said = '[design.groups]\nspread = ["l.d2d.sigma", "r.d2d.sigma"]'
    executor = answering(lambda u: 3 * u[:, 1] + 0.5 * u[:, 2], training_sd=0.3)
    result = analyze(results_of(said, executor, tmp_path / "out", method="morris"))
    assert result.factors == ("spread", "mismatch.global.mean", "read.noise.sigma")
    assert_covers(result, "mu_star", np.array([0.0, 3.0, 0.5]))
    assert result.verdict("spread").startswith("not distinguishable")


def test_shapley_effects_of_a_study_add_up_to_one(tmp_path: Path) -> None:
    text = TEXT.replace("sobol", "shapley").replace("n = 256", "n = 700")
    run(Study.from_text(text), answering(ishigami), tmp_path / "out", pack=512)
    result = analyze(open_results(tmp_path / "out"))
    assert result.method == "shapley"
    assert_covers(result, "shapley", ISHIGAMI_SHAPLEY)
    assert sum(index.value for index in result["shapley"]) == pytest.approx(1.0)
    assert result.units == 700


def test_luck_is_split_by_the_seeds_that_trials_were_given(tmp_path: Path) -> None:
    """Variance 4 from the array's seed, 1 from the training's; an extra run of some rows does no harm."""
    text = TEXT.replace("replicates = 2", "replicates = 4\ntrainings = 2\nreplicate_rows = 40")
    run(Study.from_text(text), answering(ishigami, 2.0, 1.0), tmp_path / "out", pack=512)
    result = analyze(open_results(tmp_path / "out"), method="sobol")
    split = result.luck_split
    assert split is not None
    assert split.array.low <= 0.8 <= split.array.high
    assert split.training.low <= 0.2 <= split.training.high
    assert split.noise_variance == pytest.approx(5.0, rel=0.12)
    assert result.noise_variance == pytest.approx(5.0, rel=0.12)
    assert_covers(result, "total", ISHIGAMI_TOTAL)
    # Arrays are added; what is there counts on.
    _, longer = extend(tmp_path / "out", replicates=6)
    run(longer, answering(ishigami, 2.0, 1.0), tmp_path / "out", pack=512)
    more = analyze(open_results(tmp_path / "out"), method="sobol").luck_split
    assert more is not None
    assert more.array.high - more.array.low < split.array.high - split.array.low
    assert more.array.low <= 0.8 <= more.array.high
