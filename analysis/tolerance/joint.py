"""Question (b): how far may all factors go at once? The largest weighted sum of tolerances that keeps the target.

Optuna searches for the best direction, with the target as a constraint. Where along this direction the target is
crossed is then found as for a single factor, with replicates, because the best of many noisy points looks better than
it is.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.tolerance.answer import END_OF_RANGE, Tolerance, ToleranceAnswer
from vcm_sweep.analysis.tolerance.batches import MOST_KNOWN, Batches, Params, PointResult
from vcm_sweep.analysis.tolerance.confirmation import Confirmation, confirm, in_words, mean_index
from vcm_sweep.analysis.tolerance.context import Context
from vcm_sweep.analysis.tolerance.line_search import LineSearch
from vcm_sweep.analysis.tolerance.one import limited_by
from vcm_sweep.analysis.tolerance.optuna_study import CONSTRAINT, processes_first
from vcm_sweep.analysis.tolerance.space import Ray, Side, sides_of

Known: TypeAlias = tuple[Params, PointResult, int]
"""Parameters of a point, its results, and the number of its trainings."""

# The share of the budget for finding directions; the rest is for finding the crossing along the best ones.
_SEARCH_SHARE = 0.6
_DIRECTIONS = 3
_MOST_BY_PROCESSES = 400
# A ray takes at least this many places to begin with, besides nominal.
_PLACES = 4
# Two directions whose cosine is larger than this count as one.
_ALIKE = 0.995
_SIDE_REPLICATES = 4


def answer_joint(context: Context) -> ToleranceAnswer:
    """The tolerances of all factors together."""
    spec = context.spec
    target, target_sd, remarks = context.target()
    sides, said = harmful_sides(context)
    weights = np.array([context.weight(side.factor.name) for side in sides])
    batches = _search(context, sides, weights, target)
    affordable = (spec.trials - context.evaluator.spent - context.at_nominal) // (_PLACES * spec.replicates)
    directions = _directions(batches, sides, min(_DIRECTIONS, max(1, affordable)))
    if not directions:
        raise AnalysisError(
            f"[tolerance] no point of {context.evaluator.spent} trainings keeps {100 * target:.3g} %: lower target, "
            "narrow the ranges, or ask question 'one' first"
        )
    search = LineSearch(
        {_name(far): Ray(context.nominal, sides, tuple(far)) for far, _ in directions},
        context.evaluator,
        context.optuna_study(
            "joint, along the best directions", ["maximize"], ["accuracy"], lambda seed, _: RandomSampler(seed=seed),
            context.whole_space(),
        ),
        spec,
        target=target, target_sd=target_sd, at_nominal=context.at_nominal,
        first={_name(far): _first(place) for far, place in directions},
    )  # fmt: skip
    search.run()
    spent = context.evaluator.spent
    best = max(search.rays, key=lambda name: search.crossing(name).safe(spec.confidence) * _sum(search, name, weights))
    search.rays = {best: search.rays[best]}
    confirmation = confirm(search, spec.confirm)[best]
    rows = _rows(context, search, best, confirmation)
    remarks += said
    if batches.cut:
        remarks.append(f"{batches.cut} points were left after their first epochs: they could not keep the target.")
    summed = sum(w * row.share for w, row in zip(weights, rows, strict=True))
    remarks.append(f"The weighted sum of the parts of the ranges is {summed:.3g} of {weights.sum():.3g}.")
    return ToleranceAnswer(
        "joint", "accuracy", target, spec.confidence, rows,
        in_words({"all at once": confirmation}, target, spec.confirm), (*remarks, *context.remarks()),
        trainings=spent,
    )  # fmt: skip


def harmful_sides(context: Context) -> tuple[tuple[Side, ...], list[str]]:
    """For each factor, the end of its range towards which it is moved, and remarks for the reader.

    Where nominal lies inside a range, it is the end with the lower accuracy, all other factors being nominal.
    """
    chosen: list[Side] = []
    remarks: list[str] = []
    by_factor: dict[str, list[Side]] = {}
    for side in sides_of(context.study):
        by_factor.setdefault(side.factor.name, []).append(side)
    both = [side for pair in by_factor.values() if len(pair) > 1 for side in pair]
    trials = {
        id(side): context.evaluator.trials(
            dict(context.nominal) | {side.factor.name: side.limit}, range(_SIDE_REPLICATES)
        )
        for side in both
    }
    context.evaluator.run([trial for some in trials.values() for trial in some])
    for name, pair in by_factor.items():
        if len(pair) == 1:
            chosen += pair
            continue
        worse = min(pair, key=lambda side: float(context.evaluator.accuracies(trials[id(side)]).mean()))
        chosen.append(worse)
        remarks.append(f"{name} moves towards {worse.limit:.4g} only, the end that costs more by itself.")
    return tuple(chosen), remarks


def space_of(sides: Sequence[Side]) -> dict[str, FloatDistribution]:
    """Optuna's parameters: each factor between its start and its limit, in its unit."""
    return {
        side.factor.name: FloatDistribution(min(side.start, side.limit), max(side.start, side.limit), log=side.log)
        for side in sides
    }


def places_of(sides: Sequence[Side], params: Mapping[str, float]) -> np.ndarray:
    """(sides,) how far each factor is on its way from start (0) to limit (1)."""
    return np.array([side.place(params[side.factor.name]) for side in sides])


def known_in(context: Context, sides: Sequence[Side]) -> list[Known]:
    """Points of the study's own results that lie on these sides."""
    found: list[Known] = []
    for known in context.known_points():
        places = places_of(sides, known.point)
        if ((places >= 0.0) & (places <= 1.0)).all():
            found.append((known.point, PointResult(known.accuracy, known.energy_j), known.count))
    return found


def _search(context: Context, sides: tuple[Side, ...], weights: np.ndarray, target: float) -> Batches:
    optuna_study = context.optuna_study(
        "joint", ["maximize"], ["summed tolerance"], processes_first(_MOST_BY_PROCESSES), space_of(sides),
    )  # fmt: skip
    batches = Batches(
        optuna_study, context.evaluator, dict,
        lambda params, _: [float(weights @ places_of(sides, params))],
        below=lambda result: target - result.accuracy, target=target, replicates=context.spec.replicates,
    )  # fmt: skip
    known = known_in(context, sides)
    # Points near the target, above and below it, say most about where the constraint is met, so they come first.
    known.sort(key=lambda entry: abs(entry[1].accuracy - target))
    batches.enter(
        [(params, result) for params, result, _ in known[:MOST_KNOWN]], [count for *_, count in known[:MOST_KNOWN]]
    )
    batches.run(int(_SEARCH_SHARE * context.spec.trials), context.batch)
    return batches


def _directions(batches: Batches, sides: Sequence[Side], most: int) -> list[tuple[np.ndarray, float]]:
    """The best points that keep the target, as (places of the sides at the end of its ray, its place on the ray)."""
    kept = [t for t in batches.optuna_study.done() if t.constraints.get(CONSTRAINT, 1.0) <= 0.0 and t.values[0] > 0.0]
    chosen: list[tuple[np.ndarray, float]] = []
    for trial in sorted(kept, key=lambda trial: -trial.values[0]):
        places = np.clip(places_of(sides, trial.params), 0.0, 1.0)
        if not places.max() > 0.0:
            continue
        far = places / places.max()
        if all(far @ other / np.linalg.norm(far) / np.linalg.norm(other) < _ALIKE for other, _ in chosen):
            chosen.append((far, float(places.max())))
        if len(chosen) == most:
            break
    return chosen


def _name(far: np.ndarray) -> str:
    """The name of a ray, from its direction: a larger budget may find other directions, which must be other rays."""
    return f"direction {' '.join(f'{place:.6g}' for place in far)}"


def _first(place: float) -> tuple[float, ...]:
    """The places to begin with on the ray of a point that seemed to keep the target at ``place``."""
    return tuple(dict.fromkeys((0.0, round(0.5 * place, 4), round(0.8 * place, 4), round(place, 4), 1.0)))


def _sum(search: LineSearch, name: str, weights: np.ndarray) -> float:
    return float(weights @ np.array(search.rays[name].far))


def _rows(context: Context, search: LineSearch, name: str, confirmation: Confirmation) -> tuple[Tolerance, ...]:
    confidence = context.spec.confidence
    low, high = search.crossing(name).interval(confidence)
    ray = search.rays[name]
    accuracy: Index = mean_index("all at once", confirmation.accuracies, confidence)
    stops = limited_by(search, name, confirmation.place)
    rows = []
    for side, far in zip(ray.sides, ray.far, strict=True):
        ends = sorted(side.value(far * u) for u in (min(low, confirmation.place), max(high, confirmation.place)))
        # Of a list the part of the range is that of the value that was trained.
        share = side.place(side.value(far * confirmation.place))
        rows.append(
            Tolerance(
                side.factor.name, side.factor.unit, side.value(far * confirmation.place), ends[0], ends[1],
                END_OF_RANGE if share >= 1.0 else stops, accuracy, side.end, side.start, share,
            )
        )  # fmt: skip
    return tuple(rows)
