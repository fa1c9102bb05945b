"""The ranking of a study as its page shows it: rows with intervals, whatever the design asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.plots.theme import Spec
from vcm_sweep.analysis.records.metrics import find_metric
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.kinds import KINDS


@dataclass(frozen=True)
class Ranked:
    """A ranking in words, and its picture.

    Attributes:
        what: what is ranked. label: the number by which. confidence: of the intervals, per cent. rows: the first first.
    """

    what: str
    label: str
    confidence: str
    rows: tuple[Interval, ...]
    spec: Spec


def ranked(found: Mapping[str, Any]) -> Ranked:
    """The ranking of what ``vcm-sweep analyze --json`` prints.

    >>> index = {"factor": "r.d2d.sigma", "value": 0.6, "low": 0.5, "high": 0.7}
    >>> found = {"kind": "total", "total": [index], "metric": "accuracy", "confidence": 0.95}
    >>> [(row.factor, row.words) for row in ranked(found).rows]
    [('r.d2d.sigma', '60 % [50, 70]')]
    """
    share = find_metric(found["metric"]).share
    if "costs" in found:
        what, label, share_axis = "factor", f"cost in {found['metric']}", share
        rows = [(_end(own, found["costs"]), own["cost"]) for own in found["costs"]]
    elif "conditions" in found:
        what, label, share_axis = "condition", f"cost in {found['metric']} against {found['baseline']}", share
        rows = [(own["name"], own["cost"]) for own in found["conditions"] if own["name"] != found["baseline"]]
    else:
        kind = KINDS[found["kind"]]
        what, label, share_axis = "factor", kind.label, kind.share
        rows = [(own["factor"], own) for own in found[found["kind"]]]
    shown = [
        Interval(name, label, own["value"], own["low"], own["high"], _words(own, share_axis), own.get("missed", 0.0))
        for name, own in sorted(rows, key=lambda row: -(row[1]["value"] or 0.0))
        if own["value"] is not None and own["low"] is not None
    ]
    axis = "share of variance" if what == "factor" and "costs" not in found and share_axis else label
    spec = intervals(shown, axis, share=share_axis, tooltip=label)
    return Ranked(what, label, f"{100 * found['confidence']:g}", tuple(shown), spec)


def _end(own: Mapping[str, Any], costs: list[Mapping[str, Any]]) -> str:
    """A factor's name, with the end of its range where both ends cost something."""
    both = sum(other["factor"] == own["factor"] for other in costs) > 1
    return f"{own['factor']} at its {own['end']} end" if both else str(own["factor"])


def _words(own: Mapping[str, Any], share: bool) -> str:
    index = Index("", own["value"], own["low"], own["high"])
    return index.percent() if share else index.number()
