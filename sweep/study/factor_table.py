"""The table [[factor]]: what varies, over which values, and how it is distributed there."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from vcm_sweep.device.declared import NEEDED, Declared
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.distributions import ALIASES, CONTINUOUS, LISTED, Continuous, Distribution, Levels, Whole
from vcm_sweep.sweep.study.tables.fields import Fields, brief

_NORMAL = ("norm", "truncnorm")
UNBOUNDED = ("norm", "lognorm")
"""Distributions whose range need not be given: they are cut where ``tail`` says."""
_HUGE, _TINY = 1e9, 1e-30
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2}


def _of(laws: tuple[str, ...], meaning: str, low: float, high: float, default: Any = NEEDED) -> Declared:
    return Declared("number", meaning, default, low, high, only=("distribution", laws))


def _list_of(laws: tuple[str, ...], meaning: str, items: Mapping[str, Any], default: Any = NEEDED) -> Declared:
    schema = {"type": "array", "items": items, "minItems": 2}
    return Declared("table", meaning, default, schema=schema, only=("distribution", laws))


FACTOR_FIELDS: Mapping[str, Declared] = {
    "name": Declared(
        "text",
        "PARAMETER.MECHANISM.MOMENT of the cell, TABLE.FIELD of what is chosen; vcm-sweep plan --factors lists them",
        NEEDED,
    ),
    "range": Declared(
        "table",
        "its two ends, [low, high], where a normal or log-normal distribution is cut; none with a list of values; of "
        "whole numbers, which a uniform distribution makes equally likely, both included",
        schema=_NUMBERS | {"maxItems": 2},
    ),
    "distribution": Declared("word", "over the range, or of a list", "uniform", words=(*CONTINUOUS, *LISTED, *ALIASES)),
    "mean": _of(_NORMAL, "of the distribution before it is cut, in the factor's unit", -_HUGE, _HUGE),
    "sd": _of(_NORMAL, "its standard deviation before it is cut, in the factor's unit", _TINY, _HUGE),
    "median": _of(("lognorm",), "of the distribution before it is cut, in the factor's unit", _TINY, _HUGE),
    "sigma": _of(("lognorm",), "standard deviation of its natural logarithm before it is cut", 1e-6, 100),
    "tail": _of(UNBOUNDED, "probability that is cut off at each end if no range is given", 1e-9, 0.25, 0.001),
    "peak": _of(("triang",), "where the triangle is highest, in the factor's unit", -_HUGE, _HUGE),
    "a": _of(("beta",), "density as x^(a - 1) (1 - x)^(b - 1), x from 0 to 1 over the range", 0.05, 1000),
    "b": _of(("beta",), "see a", 0.05, 1000),
    "values": _list_of(("discrete",), "two numbers or more, in the factor's unit", {"type": "number"}),
    "choices": _list_of(
        ("categorical",),
        "two numbers or more whose order means nothing, or words of the field",
        {"type": ["number", "string"]},
    ),
    "probabilities": _list_of(
        LISTED, "of the values or choices, summing to 1; by default equal", {"type": "number"}, None
    ),
}
"""[[factor]]."""

# The smallest width of a range relative to its ends; a narrower one contains only a few floating-point numbers.
_ROUNDING = 1e-12
# Hardly a point of a design lies further from the mean of a normal law, in standard deviations.
_SPREAD = 6.0
# More whole numbers than this make a slow list of levels.
_MOST_WHOLE = 100_000
# Of a law that is cut to a range, at least this probability lies inside.
_LEAST_INSIDE = 1e-6
# Probabilities may miss their sum by the rounding of a few digits.
_SUM = 1e-6


def read_distribution(table: Any, where: str, low: float, high: float, words: tuple[str, ...] = ()) -> Distribution:
    """The distribution of a factor.

    Args:
        table: [[factor]]. where: what messages call it, with the factor's name.
        low, high: what the factor's field allows. words: those that it takes instead of numbers.

    Raises:
        StudyError: a field that is not of the distribution, values that it cannot have, or an end that the factor's
            field does not allow.
    """
    fields = Fields(table, where)
    given = fields.choice("distribution", FACTOR_FIELDS["distribution"].words, "uniform")
    law = ALIASES.get(given, given)
    for key in sorted(fields.given):
        own = _laws(key)
        if key == "range" and law in LISTED:
            raise StudyError(
                f"[{where}] range is not for distribution = {law!r}, whose list has its ends: leave it out"
            )
        if own and law not in own:
            names = " or ".join(map(repr, own))
            raise StudyError(f"[{where}] {key} is for distribution = {names}, and this is {given!r}: leave it out")
    if words and law != "categorical":
        raise StudyError(f"[{where}] varies over words: give distribution = 'categorical' and choices of them")
    if law in LISTED:
        return _listed(table, where, law, low, high, words)
    return _continuous({**table, "distribution": law}, where, law, low, high)


def whole_numbers(law: Distribution, where: str) -> Distribution:
    """The law of a factor whose field holds whole numbers, from what its table gives; ``where`` as above.

    Raises:
        StudyError: ends or levels that are no whole numbers. An end that is a quantile is moved to the next one inside.
    """
    if isinstance(law, Continuous):
        ends = (law.low, law.high)
        inside = (float(np.ceil(law.low)), float(np.floor(law.high)))
        if ends != inside and not law.tail:
            raise StudyError(f"[{where}] range = [{law.low:g}, {law.high:g}] must have whole numbers as its ends")
        if not inside[0] < inside[1]:
            raise StudyError(f"[{where}] there are no two whole numbers from {law.low:g} to {law.high:g}: widen it")
        if inside[1] - inside[0] >= _MOST_WHOLE:
            raise StudyError(
                f"[{where}] there are {inside[1] - inside[0] + 1:.0f} whole numbers from {inside[0]:.0f} to "
                f"{inside[1]:.0f}, and at most {_MOST_WHOLE} may be: narrow it, or give distribution = 'discrete' and "
                "values"
            )
        return Whole.nearest(replace(law, low=inside[0], high=inside[1]))
    for level in law.levels:
        if level != int(level):
            raise StudyError(f"[{where}] holds {level:g}, and must hold whole numbers")
    return law


def _continuous(table: Mapping[str, Any], where: str, law: str, low: float, high: float) -> Continuous:
    own = {key: field for key, field in FACTOR_FIELDS.items() if field.kind == "number" and law in _laws(key)}
    values = Fields(table, where).all({"distribution": FACTOR_FIELDS["distribution"]} | own)
    parameters = tuple((key, values[key]) for key in own if key != "tail")
    if "range" in table or law not in UNBOUNDED:
        if "tail" in table:
            raise StudyError(f"[{where}] tail is where a law without a range is cut: leave out tail or range")
        first, last = _range(table, where, low, high)
        if law in ("loguniform", "lognorm") and first <= 0:
            raise StudyError(f"[{where}] low = {first:g} must be above 0 for a {law} range")
        if law == "triang":
            Fields(table, where).number("peak", first, last)
        made = Continuous(law, first, last, parameters)
        _check_inside(made, where)
        _check_width(made, where)
        return made
    quantile = -float(ndtri(values["tail"]))
    if law == "norm":
        ends = [values["mean"] + sign * quantile * values["sd"] for sign in (-1, 1)]
    else:
        ends = [values["median"] * float(np.exp(sign * quantile * values["sigma"])) for sign in (-1, 1)]
    for end, value, share in zip(("low", "high"), ends, (values["tail"], 1.0 - values["tail"]), strict=True):
        if not low <= value <= high:
            cut = Continuous(law, max(low, ends[0]), min(high, ends[1]), parameters)
            raise StudyError(
                f"[{where}] {end} = {value:.4g}, the {100 * share:g} % quantile of {law}, must be a number from "
                f"{low:g} to {high:g}: {_instead(cut)}"
            )
    made = Continuous(law, ends[0], ends[1], parameters, values["tail"])
    _check_width(made, where)
    return made


def _instead(cut: Continuous) -> str:
    """What to do where a law leaves its field and ``cut`` is left of it: give that as a range, if it is sensible."""
    other = f"give another {' or '.join(key for key, _ in cut.parameters)}"
    if not cut.low < cut.high or (cut.name == "lognorm" and cut.low < _TINY):
        return other
    try:
        _check_inside(cut, "")
        _check_width(cut, "")
    except StudyError:
        return other
    return f"give range = [{cut.low:.4g}, {cut.high:.4g}], within which it is cut, or a larger tail"


def _range(table: Mapping[str, Any], where: str, least: float, most: float) -> tuple[float, float]:
    span = _needed(table, "range", where)
    if not isinstance(span, list) or len(span) != 2:
        raise StudyError(f"[{where}] range = {brief(span)} must be [low, high]")
    ends = Fields({"low": span[0], "high": span[1]}, where)
    low, high = (ends.number(end, least, most) for end in ("low", "high"))
    if not low < high:
        raise StudyError(f"[{where}] low = {low:g} must be below high = {high:g}")
    return low, high


def _needed(table: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in table:
        raise StudyError(f"[{where}] {key} is missing: give it")
    return table[key]


def _check_width(law: Continuous, where: str) -> None:
    """StudyError where all that is sampled of a law is one number and its rounding."""
    given, low, high = dict(law.parameters), law.low, law.high
    if "sd" in given:
        low = max(low, given["mean"] - _SPREAD * given["sd"])
        high = min(high, given["mean"] + _SPREAD * given["sd"])
    if _same(low, high):
        wider = "give a larger sd" if "sd" in given else "widen the range"
        raise StudyError(
            f"[{where}] low = {low!r} and high = {high!r} differ by rounding only, so it would never vary: {wider}, or "
            "set it in its table"
        )


def _same(low: float, high: float) -> bool:
    """Whether two values differ by rounding only."""
    return high - low <= _ROUNDING * max(abs(low), abs(high))


def _check_inside(law: Continuous, where: str) -> None:
    """StudyError where next to nothing of a normal or log-normal law lies in the range it is cut to."""
    given = dict(law.parameters)
    if "sd" in given:
        ends = [(end - given["mean"]) / given["sd"] for end in (law.low, law.high)]
    elif "sigma" in given:
        ends = [float(np.log(end / given["median"])) / given["sigma"] for end in (law.low, law.high)]
    else:
        return
    # Both in the lower tail, where differences of small probabilities are exact.
    first, last = ends if ends[0] < 0 else (-ends[1], -ends[0])
    inside = float(ndtr(last) - ndtr(first))
    if inside < _LEAST_INSIDE:
        raise StudyError(
            f"[{where}] range = [{law.low:g}, {law.high:g}] holds {inside:.1g} of {law.name}, and must hold "
            f"{_LEAST_INSIDE:g} or more: widen it, or move the law"
        )


def _listed(table: Mapping[str, Any], where: str, law: str, low: float, high: float, words: tuple[str, ...]) -> Levels:
    key = "values" if law == "discrete" else "choices"
    given = _needed(table, key, where)
    if not isinstance(given, list) or len(given) < 2:
        raise StudyError(
            f"[{where}] {key} = {brief(given)} must be a list of two or more; set a single one in its table"
        )
    values = tuple(
        _place(value, f"{where}] {key}", words) if words else _level(value, f"{where}] {key}", low, high)
        for value in given
    )
    for value, placed in zip(given, values, strict=True):
        if values.count(placed) > 1:
            raise StudyError(f"[{where}] {key}: {value!r} is given {values.count(placed)} times: keep one")
    for low, high in pairwise(sorted(values)):
        if _same(low, high):
            raise StudyError(f"[{where}] {key}: {low!r} and {high!r} differ by rounding only: keep one")
    made = Levels.of(law, values, _probabilities(table.get("probabilities"), where, len(values)))
    return replace(made, names=tuple(words[int(place)] for place in made.values)) if words else made


def _place(value: Any, where: str, words: tuple[str, ...]) -> float:
    """The number of a word: its place among those of the field."""
    if value not in words:
        raise StudyError(f"[{where} holds {brief(value)}, and must hold words of {', '.join(map(repr, words))}")
    return float(words.index(value))


def _level(value: Any, where: str, low: float, high: float) -> float:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        raise StudyError(f"[{where} holds {brief(value)}, and must hold finite numbers from {low:g} to {high:g}")
    return float(value)


def _probabilities(given: Any, where: str, count: int) -> tuple[float, ...]:
    if given is None:
        return (1.0 / count,) * count
    good = isinstance(given, list) and all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in given)
    if not good or len(given) != count or not all(0.0 < p < 1.0 for p in given):
        raise StudyError(f"[{where}] probabilities = {brief(given)} must be {count} numbers above 0 and below 1")
    if not abs(sum(given) - 1.0) <= _SUM:
        raise StudyError(f"[{where}] probabilities = {brief(given)} sum to {sum(given):g} and must sum to 1")
    return tuple(p / sum(given) for p in given)


def _laws(key: str) -> tuple[str, ...]:
    """The distributions that have this field alone; () for fields of all."""
    only = FACTOR_FIELDS[key].only
    return only[1] if only else ()
