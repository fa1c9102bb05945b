"""A study is made longer until its indices are known: it stops then, or when its budget is spent."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vcm_sweep.analysis import AnalysisError, Budget, Ended, Stage, analyze, run_until
from vcm_sweep.analysis.surrogates import cross_fitting
from vcm_sweep.analysis.surrogates.gaussian_process import fit_anova_process
from vcm_sweep.analysis.surrogates.polynomial_chaos import fit_polynomial_chaos
from vcm_sweep.sweep import (
    InProcessExecutor,
    Results,
    Store,
    Study,
    StudyError,
    Trial,
    TrialRecord,
    open_results,
    run,
)

from ..answering import TEXT, answering
from ..synthetic import ISHIGAMI_TOTAL, ISHIGAMI_VARIANCE, Array, ishigami

SMALL = TEXT.replace("n = 256", "n = 32")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quickest kind of surrogate alone: bounds hold with any, and need not be narrow."""
    monkeypatch.setattr(cross_fitting, "KINDS", {"polynomial chaos": fit_polynomial_chaos})


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that follows smooth functions better."""
    monkeypatch.setattr(cross_fitting, "KINDS", {"Gaussian process": fit_anova_process})


class Runs:
    """Runs stages in a folder, and notes them."""

    def __init__(self, folder: Path, executor: InProcessExecutor | None = None) -> None:
        self.folder, self.executor = folder, executor or answering(ishigami)
        self.sizes: list[int] = []

    def __call__(self, study: Study) -> Results:
        self.sizes.append(study.design.n)
        return run(study, self.executor, self.folder, pack=512)


def until(runs: Runs, text: str, goal: float, **options: object) -> tuple[Ended, list[Stage]]:
    heard: list[Stage] = []
    ended = run_until(Study.from_text(text), str(runs.folder), runs, goal, tell=heard.append, **options)  # type: ignore[arg-type]
    return ended, heard


def test_base_points_double_until_every_total_index_is_narrow(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out")
    ended, heard = until(runs, SMALL, 0.25)
    assert ended.met
    assert runs.sizes == [32 * 2**k for k in range(len(runs.sizes))]
    assert len(runs.sizes) >= 2
    assert tuple(heard) == ended.stages
    halves = [max((i.high - i.low) / 2 for i in analyze(open_results(runs.folder)).total)]
    assert halves[0] <= 0.25 == ended.stages[-1].widest.goal  # type: ignore[union-attr]
    assert [stage.met for stage in heard] == [False] * (len(heard) - 1) + [True]
    # Replicates are what they were, and nothing was done twice.
    design = open_results(runs.folder).study.design
    assert (design.replicates, design.n) == (2, runs.sizes[-1])
    assert heard[0].words().startswith("stage 1: n = 32, replicates = 2, 384 trainings: widest half-width 0.")
    expected = heard[0].expected
    assert expected is not None
    said = heard[0].words()
    assert f"needs about {12 * expected.n - 384} more trainings" in said
    assert f"(n = {expected.n}, replicates = 2)" in said
    assert heard[-1].words().endswith("at most 0.25, as wanted")
    # What was said of the last doubling but one was of the right size.
    assert heard[-2].to_dict()["expected_n"] in (runs.sizes[-1], 2 * runs.sizes[-1])


def test_trajectories_grow_by_what_is_needed(tmp_path: Path) -> None:
    text = SMALL.replace("sobol", "morris").replace("n = 32", "n = 40")
    runs = Runs(tmp_path / "out", answering(lambda u: 3 * u[:, 0] + u[:, 1], training_sd=0.1))
    ended, heard = until(runs, text, 0.02)
    assert ended.met
    assert len(runs.sizes) > 1
    for before, after, stage in zip(runs.sizes, runs.sizes[1:], heard, strict=False):
        assert after == before + min(before, stage.widest.needs)  # type: ignore[union-attr]
    assert any(size & (size - 1) for size in runs.sizes[1:]), "no power of 2 is asked for"


@pytest.mark.parametrize("method", ["sobol", "shapley"])
def test_a_budget_of_trainings_is_kept_and_used(method: str, tmp_path: Path) -> None:
    text = SMALL.replace("sobol", method)
    runs = Runs(tmp_path / "out")
    ended, _ = until(runs, text, 0.01, budget=Budget(trials=1000))
    assert not ended.met
    held = sum(open_results(runs.folder).counts().values())
    assert held <= 1000
    if method == "shapley":
        assert held == 1000, "trajectories are added one by one, so all of it is used"
    else:
        assert held == 768, "the next doubling would be too much"
        assert ended.why == "n = 128 would be 1536 trainings, and the budget is 1000"


SPACE = TEXT.replace("sobol", "space")


def flat(u: Array) -> Array:
    """What a surrogate finds at once: only noise makes intervals wide."""
    return np.asarray(3.0 * u[:, 0] + 2.0 * u[:, 1] + u[:, 2])


def edge(u: Array) -> Array:
    """An edge that no smooth surrogate follows."""
    return np.where(u[:, 0] + u[:, 1] * u[:, 2] > 1.1, 0.1, 0.9 - 0.1 * u[:, 1])


@pytest.mark.usefixtures("narrow")
def test_replicates_are_added_where_noise_makes_intervals_wide(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out", answering(flat))
    ended, heard = until(runs, SPACE, 0.075, budget=Budget(trials=2000))
    assert ended.met
    assert [stage.n for stage in heard] == [256] * len(heard)
    assert 2 == heard[0].replicates < heard[1].replicates <= 4
    assert heard[0].expected is not None
    assert heard[0].expected.replicates >= heard[1].replicates
    more = 256 * (heard[0].expected.replicates - 2)
    assert f"about {more} more trainings (n = 256, replicates = {heard[0].expected.replicates})" in heard[0].words()
    assert all(" more trainings, 1 min (n = 256" in stage.words() for stage in heard[1:-1]), "by the pace so far"
    # What it was said to cost is about what it cost.
    assert 0.5 < heard[0].expected_trials / heard[-1].trials < 2.0  # type: ignore[operator]
    assert open_results(runs.folder).study.design.replicates == heard[-1].replicates


@pytest.mark.slow
def test_points_double_where_the_surrogate_misses(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out", answering(edge, training_sd=0.05))
    ended, heard = until(runs, SPACE, 0.01, budget=Budget(trials=1024))
    assert not ended.met
    assert [(stage.n, stage.replicates) for stage in heard] == [(256, 2), (512, 2)]
    assert ended.why == "n = 1024 would be 2048 trainings, and the budget is 1024"


def test_a_space_study_begins_with_as_many_points_as_a_verdict_takes(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out", answering(flat, training_sd=0.1))
    ended, heard = until(runs, SPACE.replace("n = 256", "n = 8"), 0.3)
    assert ended.met
    assert runs.sizes == [8, 256]
    assert "no index yet (n: 8 points are too few" in heard[0].words()


@pytest.mark.usefixtures("narrow")
def test_a_budget_leaves_as_many_replicates_as_fit(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out", answering(flat))
    ended, heard = until(runs, SPACE, 0.05, budget=Budget(trials=800))
    assert [stage.replicates for stage in heard] == [2, 3]
    wanted = heard[-1].expected
    assert wanted is not None
    replicates = min(wanted.replicates, 6)
    assert ended.why == f"replicates = {replicates} would be {256 * replicates} trainings, and the budget is 800"


def coverage_at_the_stop(studies: int, folder: Path) -> None:
    """Stopping when an interval happens to be narrow could stop too early: the truth must be in them all the same."""
    twelfth = np.array([9.0, 4.0, 1.0, 0.0])
    cases = (
        (ishigami, ISHIGAMI_TOTAL, np.sqrt(ISHIGAMI_VARIANCE / 4), 0.06),
        (flat, twelfth / twelfth.sum(), 1.0, 0.1),
    )
    for output, truth, sd, goal in cases:
        missed = np.zeros(4)
        longer = 0
        for seed in range(studies):
            text = SPACE.replace('name = "known"', f'name = "known"\nseed = {seed}')
            runs = Runs(folder / f"{output.__name__}-{seed}", answering(output, training_sd=float(sd)))
            ended, heard = until(runs, text, goal)
            assert ended.met
            longer += len(heard) > 1
            total = analyze(open_results(runs.folder)).total
            missed += [not index.low <= value <= index.high for index, value in zip(total, truth, strict=True)]
        assert missed.max() <= stats.binom.ppf(0.999, studies, 0.05), (output.__name__, missed)
        assert longer > 0, "the goal was met at once, so that nothing was stopped"


def test_intervals_hold_the_truth_where_a_study_stopped(tmp_path: Path) -> None:
    coverage_at_the_stop(2, tmp_path)


@pytest.mark.slow
def test_intervals_of_many_studies_that_stopped_hold_the_truth(tmp_path: Path) -> None:
    coverage_at_the_stop(24, tmp_path)


def test_a_budget_of_hours_is_not_begun_with_what_would_go_over_it(tmp_path: Path) -> None:
    """By a clock that goes on by a second per training."""
    runs = Runs(tmp_path / "out")
    seen = [0.0]

    def clock() -> float:
        if (runs.folder / "parts").exists():
            seen[0] = float(Store.open(runs.folder).table(["key"]).num_rows)
        return seen[0]

    ended, _ = until(runs, SMALL, 0.01, budget=Budget(seconds=2000.0, clock=clock))
    assert runs.sizes == [32, 64, 128]
    assert ended.why == "n = 256 would have taken until 0.853 h, and the budget is 0.556 h"


def test_what_was_interrupted_goes_on_with_what_the_folder_holds(tmp_path: Path) -> None:
    calls = [0]

    def task(pack: list[Trial]) -> list[TrialRecord]:
        calls[0] += len(pack)
        if 500 < calls[0] < 800:
            calls[0] = 1000
            raise KeyboardInterrupt
        return answering(ishigami).task(pack)

    runs = Runs(tmp_path / "out", InProcessExecutor(task))  # type: ignore[arg-type]
    runs.executor = InProcessExecutor(task)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run_until(Study.from_text(SMALL), str(runs.folder), lambda s: run(s, runs.executor, runs.folder, pack=64), 0.25)
    assert Store.open(runs.folder).study.design.n == 64
    kept = Store.open(runs.folder).table(["key"]).num_rows
    assert 384 <= kept < 768
    again = Runs(runs.folder)
    ended = run_until(Store.open(runs.folder).study, str(runs.folder), again, 0.25)
    assert ended.met
    assert again.sizes[0] == 64
    straight = Runs(tmp_path / "straight")
    until(straight, SMALL, 0.25)
    assert again.sizes[-1] == straight.sizes[-1]
    assert np.array_equal(open_results(runs.folder).blocks(), open_results(straight.folder).blocks())


def test_too_few_points_are_no_reason_to_stop(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out")
    ended, heard = until(runs, SMALL.replace("n = 32", "n = 4"), 0.3)
    assert ended.met
    assert "no index yet (n: 4 base rows are too few" in heard[0].words()
    assert runs.sizes[:2] == [4, 8]


def test_noise_alone_is_given_up_after_some_doublings(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out", answering(lambda u: 0.0 * u[:, 0]))
    with pytest.raises(AnalysisError, match="varies no more"):
        until(runs, SMALL.replace("n = 32", "n = 8"), 0.05)
    assert len(runs.sizes) <= 8


def test_failures_need_a_policy_which_is_passed_on(tmp_path: Path) -> None:
    def failing(u: Array) -> Array:
        return ishigami(u)

    inner = answering(failing).task

    def task(pack: list[Trial]) -> list[TrialRecord]:
        return [
            TrialRecord.failed(t, "diverged", "not finite") if t.factors["r.d2d.sigma"] > 0.078 else r
            for t, r in zip(pack, inner(pack), strict=True)
        ]

    runs = Runs(tmp_path / "out", InProcessExecutor(task))  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="name a policy: drop-block or worst-case"):
        until(runs, SMALL, 0.2)
    ended, _ = until(runs, SMALL, 0.3, policy="drop-block")
    assert ended.met
    ended, _ = until(runs, open_results(runs.folder).study.text, 0.4, policy="worst-case", metric="p_diverged")
    assert ended.stages


@pytest.mark.parametrize(
    ("goal", "text", "budget", "words"),
    [
        (0.0, SMALL, None, r"--until 0 must be above 0 and at most 0.5"),
        (float("nan"), SMALL, None, "--until nan must be above 0"),
        (0.05, SMALL.replace("replicates = 2", "replicates = 1"), None, "noise to be known: give .* replicates = 2"),
        (
            0.05,
            SPACE.replace("replicates = 2", "replicates = 1\nreplicate_rows = 8"),
            None,
            r"replicates = 1, replicate_rows = 8 train too few points twice .*: give replicates = 2, or extend",
        ),
        (0.05, SMALL, Budget(trials=100), "--budget-trials 100 is less than the 384 trainings that the study has"),
    ],
)
def test_what_cannot_end_is_refused_before_it_begins(
    goal: float, text: str, budget: Budget | None, words: str, tmp_path: Path
) -> None:
    runs = Runs(tmp_path / "out")
    with pytest.raises(StudyError, match=words) as refusal:
        run_until(Study.from_text(text), str(runs.folder), runs, goal, budget=budget)
    assert "\n" not in str(refusal.value)
    assert not runs.sizes


def test_the_widest_is_named(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out")
    _, heard = until(runs, SMALL, 0.4)
    verdicts = analyze(open_results(runs.folder)).enough(0.4)
    widest = max(verdicts, key=lambda verdict: verdict.half_width)
    assert heard[-1].widest is not None
    assert heard[-1].widest.factor == widest.factor
    assert heard[-1].to_dict()["widest"]["half_width"] == widest.half_width


@pytest.mark.parametrize("wrong", [{"metric": "speed"}, {"policy": "hope"}])
def test_what_cannot_be_analysed_is_refused_before_anything_is_trained(wrong: dict[str, str], tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out")
    with pytest.raises(AnalysisError, match="is not one of"):
        until(runs, SMALL, 0.25, **wrong)
    assert runs.sizes == []


def test_an_epoch_after_the_last_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "out")
    last = Study.from_text(SMALL).network.epochs
    with pytest.raises(AnalysisError, match=rf"accuracy_epoch_{last + 1} is after the last of {last} epochs of"):
        until(runs, SMALL, 0.2, metric=f"accuracy_epoch_{last + 1}")
    assert runs.sizes == []
