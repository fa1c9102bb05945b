"""`run_until`: make a study longer until its indices are known well enough, or its budget is spent."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from vcm_sweep.analysis.errors import TooFewError
from vcm_sweep.analysis.records.metrics import find_metric
from vcm_sweep.analysis.records.policies import check_policy
from vcm_sweep.analysis.results.enough import Enough
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import DESIGNED, analyze
from vcm_sweep.sweep import Results, Study, StudyError, build_design, extend
from vcm_sweep.sweep.folder import Folder

# The half-width of the widest total index, times the root of n: with Saltelli's rows it was 1.6 to 3.2 on Ishigami's
# function and 2.8 to 4.8 in studies on digits; with points in space that were trained twice it was 1.3 where luck is a
# fifth of the variance, and 4 to 8 where trainings end at chance or fall off a cliff. It is used only for a first
# guess, before there is a result.
_RULE_OF_THUMB = {"sobol": 3.0, "space": 1.3}
# After this many stages in a row that allow no index at all, more points of the same design will not help.
_MOST_WITHOUT = 3


@dataclass(frozen=True)
class Budget:
    """What may be spent.

    Args:
        trials: trainings in the folder, including those that it already holds.
        seconds: of wall time from the start of the run.
        workers: packs that run at the same time. Until a stage has shown the pace, it is estimated from this number and
            the times in the records.
        clock: seconds, for tests.
    """

    trials: float = math.inf
    seconds: float = math.inf
    workers: int = 1
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Stage:
    """A study's state after it was run to a certain length.

    Args:
        number: 1 for the first stage. n: number of base points or trajectories. trials: of the design. unit: of n.
        widest: the ranking index with the widest interval; None where there is no index yet, as ``reason`` says.
        expected_n, expected_trials: what it is likely to take in all to reach the goal; None where that is not known.
    """

    number: int
    n: int
    trials: int
    unit: str
    widest: Enough | None
    expected_n: int | None
    expected_trials: int | None
    reason: str = ""

    @property
    def met(self) -> bool:
        """Whether every ranking index is known well enough."""
        return self.widest is not None and self.widest.settled

    def words(self) -> str:
        """The stage in one line."""
        said = f"stage {self.number}: n = {self.n}, {self.trials} trainings: "
        if self.widest is None:
            return f"{said}no index yet ({self.reason})"
        said += f"widest half-width {self.widest.half_width:.2g}, of {self.widest.factor}"
        if self.met:
            return f"{said}: at most {self.widest.goal:.2g}, as wanted"
        return f"{said}; {self.widest.goal:.2g} needs about n = {self.expected_n}, {self.expected_trials} trainings"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        widest = self.widest.to_dict() if self.widest else None
        return {**vars(self), "widest": widest, "met": self.met}


@dataclass(frozen=True)
class Ended:
    """How `run_until` ended: whether the goal is met, why it went no further, and the stages."""

    met: bool
    why: str
    stages: tuple[Stage, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"met": self.met, "stopped": self.why, "stages": [stage.to_dict() for stage in self.stages]}


def first_guess(study: Study, half_width: float) -> tuple[int, int] | None:
    """(n, trainings) that a study on Sobol points is likely to need, by rule of thumb; None for other designs."""
    if not _doubles(study):
        return None
    n = max(study.design.n, 2 ** math.ceil(2 * math.log2(_RULE_OF_THUMB[study.design.method] / half_width)))
    return n, _trials(study, n)


def run_until(
    study: Study,
    directory: str | Folder,
    run: Callable[[Study], Results],
    half_width: float,
    *,
    metric: str = "accuracy",
    policy: str = "fail",
    budget: Budget | None = None,
    tell: Callable[[Stage], None] | None = None,
) -> Ended:
    """Run a study, then make it longer and run the new trainings while a ranking index has too wide an interval.

    The points of a Sobol or space design double; trajectories grow by what `enough` asks for, and at most double. The
    number of replicates stays. A stage that would exceed the budget is not begun; trajectories grow by as many as still
    fit. If it is interrupted, all that was run is kept, and the same call with the study that the folder then holds
    goes on.

    Args:
        study: the study to begin with. directory: its results folder, which ``run`` makes. run: runs a study there.
        half_width: the goal, see `enough`. metric, policy: as for `analyze`.
        budget: what may be spent; None goes on until the goal is met.
        tell: is called with each stage.

    Raises:
        StudyError: a design whose indices do not become narrower this way. AnalysisError: records that cannot be
            analysed, where more points would not help.
    """
    check_goal(study, half_width)
    find_metric(metric)
    check_policy(policy)
    budget = budget or Budget()
    began = budget.clock()
    if budget.trials < _trials(study, study.design.n):
        raise StudyError(
            f"--budget-trials {budget.trials:g} is less than the {_trials(study, study.design.n)} trainings that the "
            "study has: give more, or a smaller n"
        )
    stages: list[Stage] = []
    pace: float | None = None
    while True:
        started = budget.clock()
        results = run(study)
        pace = _pace(results, stages, budget.clock() - started, budget.workers, pace)
        stage = _look(results, len(stages) + 1, half_width, metric, policy, stages)
        stages.append(stage)
        if tell:
            tell(stage)
        if stage.met:
            return Ended(True, f"every half-width is at most {half_width:g}", tuple(stages))
        wanted = _next(study, stage)
        n = _within(study, wanted, budget.trials)
        if n is None:
            why = f"n = {wanted} would be {_trials(study, wanted)} trainings, and the budget is {budget.trials:g}"
            return Ended(False, why, tuple(stages))
        seconds = budget.clock() - began + (pace or 0.0) * (_trials(study, n) - stage.trials)
        if seconds > budget.seconds:
            spent, allowed = (f"{value / 3600:.3g} h" for value in (seconds, budget.seconds))
            why = f"n = {n} would have taken until {spent}, and the budget is {allowed}"
            return Ended(False, why, tuple(stages))
        _, study = extend(directory, to=n)


def check_goal(study: Study, half_width: float) -> None:
    """Raise StudyError where no number of points would reach the goal."""
    if not 0.0 < half_width <= 0.5:
        raise StudyError(
            f"--until {half_width:g} must be above 0 and at most 0.5: it is half of an interval, and 0.05 is 5 points"
        )
    design = study.design
    if design.method not in DESIGNED:
        raise StudyError(f"--until is for designs that rank factors, {', '.join(DESIGNED)}: this is {design.method!r}")
    if design.seeds == "independent" and design.replicates == 1 and not design.replicate_rows:
        raise StudyError(
            "--until needs the training noise to be known: give [design] replicates = 2, or replicate_rows (an eighth "
            "of the rows is a good number)"
        )


def _doubles(study: Study) -> bool:
    """Whether a longer design must have twice the points: Sobol points are even at powers of 2."""
    return study.design.method in _RULE_OF_THUMB


def _look(results: Results, number: int, half_width: float, metric: str, policy: str, before: list[Stage]) -> Stage:
    study = results.study
    stage = Stage(number, study.design.n, len(results.design), results.design.unit, None, None, None)
    try:
        result = analyze(results, metric, policy=policy)
    except TooFewError as error:
        if len(before) >= _MOST_WITHOUT and all(earlier.widest is None for earlier in before[-_MOST_WITHOUT:]):
            raise
        return dataclasses.replace(stage, reason=str(error))
    widest = _widest(result, half_width)
    expected = study.design.n + widest.needs
    return dataclasses.replace(stage, widest=widest, expected_n=expected, expected_trials=_trials(study, expected))


def _widest(result: Sensitivity, half_width: float) -> Enough:
    return max(result.enough(half_width), key=lambda verdict: verdict.half_width)


def _next(study: Study, stage: Stage) -> int:
    n = int(study.design.n)
    if _doubles(study) or stage.widest is None:
        return 2 * n
    return n + min(n, stage.widest.needs)


def _within(study: Study, n: int, most: float) -> int | None:
    """As many base points as the budget allows, up to n; None where these are not more than the study has."""
    if _trials(study, n) <= most:
        return n
    if _doubles(study):
        return None
    rows = _trials(study, n) / n
    fits = int(most / rows)
    while fits > study.design.n and _trials(study, fits) > most:
        fits -= 1
    return fits if fits > study.design.n else None


def _trials(study: Study, n: int) -> int:
    """The number of trainings of the study with n base points, computed without building a design of that size."""
    design = study.design
    if n <= design.n:
        return len(build_design(study))
    block = build_design(dataclasses.replace(study, design=dataclasses.replace(design, n=2))).block
    return int(n * block * design.replicates + min(design.replicate_rows, n * block))


def _pace(results: Results, stages: list[Stage], seconds: float, workers: int, before: float | None) -> float | None:
    """Wall seconds per training, from this stage if it ran enough trainings, else from the times in the records."""
    new = len(results.design) - (stages[-1].trials if stages else 0)
    if stages and new:
        return seconds / new
    if before is not None:
        return before
    mean = pc.mean(results.records(["wall_s"])["wall_s"]).as_py()
    return None if mean is None or not math.isfinite(mean) else float(mean) / max(1, workers)
