"""`run_until`: make a study longer until its indices are known well enough, or its budget is spent."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from vcm_sweep.analysis.errors import TooFewError
from vcm_sweep.analysis.records.metrics import metric_of
from vcm_sweep.analysis.records.policies import check_policy
from vcm_sweep.analysis.results.enough import Enough
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import DESIGNED, analyze
from vcm_sweep.analysis.studies.forecast import Width, assumed
from vcm_sweep.sweep import Results, Study, StudyError, build_design, extend
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.study.tables.design import MIN_POINTS, DesignSpec

# The half-width of the widest total index, times the root of n: with Saltelli's rows it was 1.6 to 3.2 on Ishigami's
# function and 2.8 to 4.8 in studies on digits. It is used only for a first guess, before there is a result.
_RULE_OF_THUMB = 3.0
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
        number: 1 for the first stage. n: number of points, base points or trajectories. unit: of n.
        replicates: of each point. trials: of the design.
        widest: the ranking index with the widest interval; None where there is no index yet, as ``reason`` says.
        expected: the design that is likely to reach the goal; None where that is not known. expected_trials: of it.
        expected_s: wall seconds until then, by the pace so far; None where no pace is known.
    """

    number: int
    n: int
    replicates: int
    trials: int
    unit: str
    widest: Enough | None = None
    expected: DesignSpec | None = None
    expected_trials: int | None = None
    expected_s: float | None = None
    reason: str = ""

    @property
    def met(self) -> bool:
        """Whether every ranking index is known well enough."""
        return self.widest is not None and self.widest.settled

    def words(self) -> str:
        """The stage in one line."""
        said = f"stage {self.number}: n = {self.n}, replicates = {self.replicates}, {self.trials} trainings: "
        if self.widest is None:
            return f"{said}no index yet ({self.reason})"
        said += f"widest half-width {self.widest.half_width:.2g}, of {self.widest.factor}"
        if self.met:
            return f"{said}: at most {self.widest.goal:.2g}, as wanted"
        goal = f"{said}; {self.widest.goal:.2g} needs"
        if self.expected is None or self.expected_trials is None:
            return f"{goal} more than can be foreseen"
        design = f"n = {self.expected.n}, replicates = {self.expected.replicates}"
        minutes = "" if self.expected_s is None else f", {max(1, math.ceil(self.expected_s / 60))} min"
        return f"{goal} about {self.expected_trials - self.trials} more trainings{minutes} ({design})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {name: value for name, value in vars(self).items() if name != "expected"}
        values["widest"] = self.widest.to_dict() if self.widest else None
        for name in ("n", "replicates"):
            values[f"expected_{name}"] = getattr(self.expected, name) if self.expected else None
        return {**values, "met": self.met}


@dataclass(frozen=True)
class Ended:
    """How `run_until` ended: whether the goal is met, why it went no further, and the stages."""

    met: bool
    why: str
    stages: tuple[Stage, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"met": self.met, "stopped": self.why, "stages": [stage.to_dict() for stage in self.stages]}


def first_guess(study: Study, half_width: float) -> str:
    """What a study on Sobol points is likely to need, before it has shown anything, in words; "" for other designs."""
    if study.design.method == "space":
        return f"it takes {assumed(half_width)}"
    if study.design.method != "sobol":
        return ""
    n = max(study.design.n, 2 ** math.ceil(2 * math.log2(_RULE_OF_THUMB / half_width)))
    return f"by rule of thumb it takes n = {n}, {_trials(study, dataclasses.replace(study.design, n=n))} trainings"


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

    The points of a Sobol design double; trajectories grow by what `enough` asks for, and at most double; the number
    of replicates stays. Of a space design the points double, or it gets up to twice as many replicates, whichever is
    part of the cheapest way to the goal (forecast.py). A stage that would exceed the budget is not begun;
    trajectories and replicates grow by as many as still fit. If it is interrupted, all that was run is kept, and the
    same call with the study that the folder then holds goes on.

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
    metric_of(metric, study)
    check_policy(policy)
    budget = budget or Budget()
    began = budget.clock()
    if budget.trials < _trials(study, study.design):
        raise StudyError(
            f"--budget-trials {budget.trials:g} is less than the {_trials(study, study.design)} trainings that the "
            "study has: give more, or a smaller n"
        )
    stages: list[Stage] = []
    pace: float | None = None
    while True:
        started = budget.clock()
        results = run(study)
        pace = _pace(results, stages, budget.clock() - started, budget.workers, pace)
        stage = _look(results, half_width, metric, policy, stages, pace)
        stages.append(stage)
        if tell:
            tell(stage)
        if stage.met:
            return Ended(True, f"every half-width is at most {half_width:g}", tuple(stages))
        wanted = _next(study.design, stage)
        longer = _within(study, wanted, budget.trials)
        if longer is None:
            trials = _trials(study, wanted)
            why = f"{_grown(study.design, wanted)} would be {trials} trainings, and the budget is {budget.trials:g}"
            return Ended(False, why, tuple(stages))
        seconds = budget.clock() - began + (pace or 0.0) * (_trials(study, longer) - stage.trials)
        if seconds > budget.seconds:
            spent, allowed = (f"{value / 3600:.3g} h" for value in (seconds, budget.seconds))
            why = f"{_grown(study.design, longer)} would have taken until {spent}, and the budget is {allowed}"
            return Ended(False, why, tuple(stages))
        _, study = extend(directory, longer.n, longer.replicates, longer.replicate_rows)


def check_goal(study: Study, half_width: float) -> None:
    """Raise StudyError where no number of points would reach the goal."""
    if not 0.0 < half_width <= 0.5:
        raise StudyError(
            f"--until {half_width:g} must be above 0 and at most 0.5: it is half of an interval, and 0.05 is 5 points"
        )
    design = study.design
    if design.method not in DESIGNED:
        raise StudyError(f"--until is for designs that rank factors, {', '.join(DESIGNED)}: this is {design.method!r}")
    if why := dataclasses.replace(design, n=max(design.n, MIN_POINTS)).no_verdict():
        raise StudyError(why)
    if design.seeds == "independent" and design.replicates == 1 and not design.replicate_rows:
        raise StudyError(
            "--until needs the training noise to be known: give [design] replicates = 2, or replicate_rows (an eighth "
            "of the rows is a good number)"
        )


def _look(
    results: Results, half_width: float, metric: str, policy: str, before: list[Stage], pace: float | None
) -> Stage:
    study, design = results.study, results.study.design
    stage = Stage(len(before) + 1, design.n, design.replicates, len(results.design), results.design.unit)
    try:
        result = analyze(results, metric, policy=policy)
    except TooFewError as error:
        if len(before) >= _MOST_WITHOUT and all(earlier.widest is None for earlier in before[-_MOST_WITHOUT:]):
            raise
        return dataclasses.replace(stage, reason=str(error))
    widest = max(result.enough(half_width), key=lambda verdict: verdict.half_width)
    expected = _expected(result, design, widest)
    trials = None if expected is None else _trials(study, expected)
    seconds = None if trials is None or pace is None else pace * (trials - stage.trials)
    return dataclasses.replace(stage, widest=widest, expected=expected, expected_trials=trials, expected_s=seconds)


def _expected(result: Sensitivity, design: DesignSpec, widest: Enough) -> DesignSpec | None:
    """The design that is likely to reach the goal."""
    if design.method != "space" or widest.settled:
        return dataclasses.replace(design, n=design.n + widest.needs)
    way = Width.widest(result, design).cheapest(widest.goal)
    return None if way is None else _with(design, way.points, way.replicates)


def _with(design: DesignSpec, n: int, replicates: int) -> DesignSpec:
    """The design with so many points and replicates; single second runs of points are part of more replicates."""
    rows = design.replicate_rows if replicates == design.replicates else 0
    return dataclasses.replace(design, n=n, replicates=replicates, replicate_rows=rows)


def _next(design: DesignSpec, stage: Stage) -> DesignSpec:
    """The next stage's design: at most twice as long, but of points in space no fewer than a verdict takes."""
    expected = stage.expected
    if expected is not None and expected.n == design.n:
        return _with(design, design.n, min(expected.replicates, 2 * design.replicates))
    if expected is None or stage.widest is None or design.method in ("sobol", "space"):
        least = MIN_POINTS if design.method == "space" else 0
        return dataclasses.replace(design, n=max(least, 2 * design.n))  # Sobol points are even at powers of 2
    return dataclasses.replace(design, n=design.n + min(design.n, stage.widest.needs))


def _within(study: Study, wanted: DesignSpec, most: float) -> DesignSpec | None:
    """As much of a longer design as the budget allows; None where that is not more than the study has."""
    design = study.design
    if _trials(study, wanted) <= most:
        return wanted
    name, step = ("n", 1) if wanted.n > design.n else ("replicates", design.trainings)
    if name == "n" and design.method in ("sobol", "space"):
        return None
    has, size = getattr(design, name), int(getattr(wanted, name) * most / _trials(study, wanted))
    size -= (size - has) % step
    while size > has:
        fitting = dataclasses.replace(wanted, **{name: size})
        if _trials(study, fitting) <= most:
            return fitting
        size -= step
    return None


def _grown(design: DesignSpec, longer: DesignSpec) -> str:
    """What of a design grows, in words."""
    return f"n = {longer.n}" if longer.n > design.n else f"replicates = {longer.replicates}"


def _trials(study: Study, design: DesignSpec) -> int:
    """The number of trainings of the study with another design, computed without building one of that size."""
    if design == study.design:
        return len(build_design(study))
    block = build_design(dataclasses.replace(study, design=dataclasses.replace(study.design, n=2))).block
    return int(design.n * block * design.replicates + min(design.replicate_rows, design.n * block))


def _pace(results: Results, stages: list[Stage], seconds: float, workers: int, before: float | None) -> float | None:
    """Wall seconds per training, from this stage if it ran enough trainings, else from the times in the records."""
    new = len(results.design) - (stages[-1].trials if stages else 0)
    if stages and new:
        return seconds / new
    if before is not None:
        return before
    mean = pc.mean(results.records(["wall_s"])["wall_s"]).as_py()
    return None if mean is None or not math.isfinite(mean) else float(mean) / max(1, workers)
