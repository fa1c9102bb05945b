"""The table [[condition]]: named settings that a study compares, each with what was published of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from vcm_sweep.device.declared import NEEDED, declared, number, text, whole
from vcm_sweep.sweep.errors import Mistakes, StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.catalogue import CATALOGUE, entry
from vcm_sweep.sweep.study.tables.device import canonical_device
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.network import NetworkSpec

_Table: TypeAlias = Mapping[str, Any]

_OF_THE_STUDY = ("data", "model", "start")
_OF_ANY_DEVICE = ("io", "update", "mapping")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a study, as all its trainings have it.

    Attributes:
        name: by which it is shown; no part of any key.
        published, published_sd, published_n: mean accuracy (%), standard deviation and number of trainings of a
            publication; None: not given.
        network: the study's [network] with the condition's fields. device: canonical [device] table, likewise.
    """

    name: str = text(NEEDED, "by which it is shown, in no key; no two may be equal")
    published: float | None = number(None, 0.0, 100.0, "%", "published mean accuracy, to be compared with")
    published_sd: float | None = number(None, 0.0, 100.0, "%", "standard deviation of the published trainings")
    published_n: int | None = whole(None, 2, 1_000_000, "number of the published trainings; goes with published_sd")
    network: NetworkSpec
    device: dict[str, Any]

    def plain(self) -> dict[str, Any]:
        """What was given of it that is no training's, for digests."""
        return {name: value for name in declared(type(self)) if (value := getattr(self, name)) is not None}


CONDITION_FIELDS = declared(Condition)
"""[[condition]], besides the sub-tables network and device and the names of factors."""


def read_conditions(tables: Any, network: _Table, device: _Table, new: bool = True) -> tuple[Condition, ...]:
    """The conditions of a study.

    Args:
        tables: of the file, one for each condition.
        network, device: the study's own tables, as they are in the file. A condition's fields are laid over them, and
            the same readers read what comes out.
        new: of no results folder yet; an older one may give a field twice, of which the factor counts.

    Raises:
        StudyError: one line that names the condition.
    """
    if not isinstance(tables, list) or len(tables) < 2:
        raise StudyError(
            "[[condition]] a study of conditions compares at least two, one of them the baseline: give them, each as a "
            "[[condition]] or as a row of [design] conditions = FILE"
        )
    found, mistakes = [], Mistakes()
    for place, table in enumerate(tables, 1):
        with mistakes.noted():
            found.append(_read(table, place, network, device, new))
    for name, count in Counter(condition.name for condition in found).items():
        if count > 1:
            with mistakes.noted():
                raise StudyError(f"[[condition]] name = {name!r} is given {count} times: rename all but one")
    mistakes.tell()
    return tuple(found)


def check_conditions(conditions: Sequence[Condition], baseline: str) -> None:
    """Raise StudyError for a baseline that is none of them, and for conditions that are the same trainings.

    Args:
        conditions: of the study. baseline: the name of the one that all others are compared with; "" if none is given.
    """
    names = [condition.name for condition in conditions]
    if baseline not in names:
        hint = did_you_mean(baseline, names, f"name one of {', '.join(map(repr, names))}")
        given = f"= {baseline!r} is no condition of the study" if baseline else "is missing"
        raise StudyError(f"[design] baseline {given}: {hint}")
    # The baseline first, so that a condition equal to it is said to be.
    seen: dict[Any, str] = {}
    for condition in sorted(conditions, key=lambda condition: condition.name != baseline):
        other = seen.setdefault(_hashable((condition.network, condition.device)), condition.name)
        if other != condition.name:
            which = f"the baseline {baseline!r}" if other == baseline else f"condition {other!r}"
            raise StudyError(
                f"condition {condition.name!r} differs from {which} in nothing: give it a field of [network] or "
                "[device] or the value of a factor, or leave it out"
            )


def _hashable(values: Any) -> Any:
    """Tables and lists as what is equal where they are, and can be looked up."""
    if isinstance(values, Mapping):
        return frozenset((key, _hashable(value)) for key, value in values.items())
    return tuple(map(_hashable, values)) if isinstance(values, list | tuple) else values


def _read(table: Any, place: int, network: _Table, device: _Table, new: bool) -> Condition:
    named = table.get("name") if isinstance(table, Mapping) else None
    fields = Fields(table, f"condition {place}: {named}" if isinstance(named, str) and named else f"condition {place}")
    head = fields.all(CONDITION_FIELDS)
    own = {"network": fields.table("network"), "device": fields.table("device")}
    try:
        _check_published(head)
        for field in _OF_THE_STUDY:
            if field in own["network"]:
                raise StudyError(f"[network] {field} is of the whole study: leave it out, or make two studies")
        if "aihwkit" in own["device"]:
            # Another device altogether: of the study's own only what is of the layers stays.
            device = {name: device[name] for name in _OF_ANY_DEVICE if name in device}
        if own["network"].get("preset", "mlp") != "mlp":
            # Widths of hidden layers are the mlp's.
            network = {name: value for name, value in network.items() if name != "hidden"}
        factors = fields.rest()
        if new:
            _check_once(own, factors)
        laid = laid_over(laid_over({"network": network, "device": device}, own), _of_factors(factors))
        found, read = Mistakes(), dict[str, Any]()
        with found.noted():
            read["network"] = NetworkSpec.from_table(laid["network"])
        with found.noted():
            read["device"] = canonical_device(laid["device"])
        found.tell()
    except StudyError as error:
        found = Mistakes()
        for mistake in getattr(error, "mistakes", [str(error)]):
            with found.noted():
                raise StudyError(f"condition {head['name']!r}: {mistake}") from None
        found.tell()
    return Condition(**head, **read)


def _check_published(head: _Table) -> None:
    spread = ("published_sd", "published_n")
    given = [name for name in spread if head[name] is not None]
    lacking = [name for name in ("published", *spread) if head[name] is None]
    if given and lacking:
        raise StudyError(
            f"{given[0]} = {head[given[0]]:g} without {lacking[0]}: give published, published_sd and published_n, or "
            "published alone"
        )


def _check_once(own: _Table, factors: _Table) -> None:
    """Raise StudyError for a factor whose field is given as well."""
    for name in factors:
        known = entry(name)
        inner: Any = own
        for key in known.path if known else ():
            inner = inner.get(key) if isinstance(inner, Mapping) else None
        if known and inner is not None:
            raise StudyError(f"{name!r} and {'.'.join(known.path)} are one and the same: give it once")


def _of_factors(values: _Table) -> _Table:
    """Values of factors as tables that hold them in their fields."""
    return reduce(laid_over, (_of_factor(name, value) for name, value in values.items()), {})


def _of_factor(name: str, value: Any) -> dict[str, Any]:
    known = entry(name)
    if known is None:
        allowed = [*CONDITION_FIELDS, "network", "device", *CATALOGUE]
        hint = did_you_mean(name, allowed, "vcm-sweep plan --factors lists all factors")
        raise StudyError(f"unknown key {name!r}, neither a field nor a factor; {hint}")
    alone = Fields({name: value}, "factors")
    if known.words:
        return nested(known.path, alone.choice(name, known.words))
    read: Callable[..., float] = alone.integer if known.whole else alone.number
    return nested(known.path, known.field_value(read(name, known.low, known.high)))


def nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    """Tables within tables that hold a value at a path.

    >>> nested(("device", "pulse_s"), 1e-6)
    {'device': {'pulse_s': 1e-06}}
    """
    first, *rest = path
    return {first: nested(rest, value) if rest else value}


def laid_over(table: _Table, changes: _Table) -> dict[str, Any]:
    """The table with the values of another in place of its own, in all sub-tables too."""
    laid = dict(table)
    for key, value in changes.items():
        own = laid.get(key)
        laid[key] = laid_over(own if isinstance(own, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return laid
