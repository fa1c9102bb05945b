"""Question (a): how far may each factor go alone?"""

import math

from optuna.samplers import RandomSampler

from vcm_sweep.analysis.tolerance.answer import ACCURACY, DIVERGED, END_OF_RANGE, NOMINAL, Tolerance, ToleranceAnswer
from vcm_sweep.analysis.tolerance.confirmation import Confirmation, confirm, in_words, mean_index
from vcm_sweep.analysis.tolerance.context import Context
from vcm_sweep.analysis.tolerance.crossing import Crossing
from vcm_sweep.analysis.tolerance.line_search import LineSearch
from vcm_sweep.analysis.tolerance.space import Ray, Side, sides_of

# A place beyond this counts as the end of the ray.
_END = 1.0 - 1e-9


def answer_one(context: Context) -> ToleranceAnswer:
    """The largest value of every factor, towards each end of its range, that keeps the target; all others nominal."""
    spec = context.spec
    target, target_sd, remarks = context.target()
    sides = {f"{side.factor.name} to {side.end}": side for side in sides_of(context.study)}
    search = LineSearch(
        {name: Ray(context.nominal, (side,), (1.0,)) for name, side in sides.items()},
        context.evaluator,
        context.optuna_study(
            "one", ["maximize"], ["accuracy"], lambda seed, _: RandomSampler(seed), context.whole_space()
        ),
        spec,
        target=target,
        target_sd=target_sd,
        at_nominal=context.at_nominal,
    )
    crossings = search.run()
    spent = context.evaluator.spent
    found = confirm(search, spec.confirm)
    rows = tuple(_row(context, search, name, side, search.crossing(name), found[name]) for name, side in sides.items())
    wide = [name for name, crossing in crossings.items() if _half_width(crossing, spec.confidence) > spec.precision]
    if wide:
        remarks.append(
            f"The {spec.trials} trainings of the search ended before these were known within "
            f"{100 * spec.precision:.3g} % of their range: {', '.join(wide)}; "
            "a larger [tolerance] trials goes on from here."
        )
    return ToleranceAnswer(
        "one", "accuracy", target, spec.confidence, rows, in_words(found, target, spec.confirm),
        (*remarks, *context.remarks()), trainings=spent,
    )  # fmt: skip


def _half_width(crossing: Crossing, confidence: float) -> float:
    low, high = crossing.interval(confidence)
    return (high - low) / 2.0


def _row(
    context: Context, search: LineSearch, name: str, side: Side, crossing: Crossing, confirmation: Confirmation
) -> Tolerance:
    confidence = context.spec.confidence
    low, high = crossing.interval(confidence)
    place = confirmation.place
    value, limited = side.value(place), limited_by(search, name, place)
    if place <= 0.0 and crossing.below_at_start > confidence:
        value = low = high = math.nan
    elif place <= 0.0:
        low, high = side.start, side.value(high)
    else:
        low, high = side.value(min(low, place)), side.value(max(high, place))
    factor = side.factor
    return Tolerance(
        factor.name, factor.unit, value, min(low, high), max(low, high), limited,
        mean_index(factor.name, confirmation.accuracies, confidence), side.end, side.start, place,
    )  # fmt: skip


def limited_by(search: LineSearch, name: str, place: float) -> str:
    """What stops a ray at a place."""
    if place >= _END:
        return END_OF_RANGE
    if place <= 0.0:
        return NOMINAL
    share, ended = search.diverged(name, place)
    # Trainings that diverged count as accuracy 0. If the others alone keep the target, divergence is what stops the
    # ray.
    return DIVERGED if share > 0.0 and not ended < search.target else ACCURACY
