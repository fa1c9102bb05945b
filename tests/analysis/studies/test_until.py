"""A study is made longer until its indices are known: it stops then, or when its budget is spent."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, Budget, Ended, Stage, analyze, run_until
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
from ..synthetic import Array, ishigami

SMALL = TEXT.replace("n = 256", "n = 32")


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
    assert heard[0].words().startswith("stage 1: n = 32, 384 trainings: widest half-width 0.")
    assert f"needs about n = {heard[0].expected_n}, {12 * heard[0].expected_n} trainings" in heard[0].words()  # type: ignore[operator]
    assert heard[-1].words().endswith("at most 0.25, as wanted")
    # What was said of the last doubling but one was of the right size.
    assert heard[-2].expected_n in (runs.sizes[-1], 2 * runs.sizes[-1])


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
