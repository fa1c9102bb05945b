"""Why a factor hurts: how much of its cost goes through SET/RESET mismatch, and through speed."""

from typing import Any

from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.results.index import Index


def why(material: Material) -> Section | None:
    """Shares of the costs through mismatch and speed; None unless a limits study with interventions lies beside."""
    return mediation(material.limits, material.quantity)


def mediation(limits: Any, quantity: Quantity) -> Section | None:
    """The shares of every cost that go through mismatch and through speed; None without interventions."""
    if limits is None or not limits.mediations:
        return None
    parts: list[Part] = [
        Text(
            "Arrays with a factor at the end of its range, trained again with that part of the effect undone in every "
            "cell: the SET/RESET ratio restored and the speed kept (matched), or the speed restored (speed-matched). "
            "The share is how much of the cost that brings back, on the same seeds. Indirect: what undoing it in the "
            "imperfect array brings back; pure: what it costs alone in the nominal array; their difference is "
            "interaction.",
            soft=True,
        )
    ]
    rows, marks = [], []
    for found in limits.mediations:
        name = f"{found.factor} at {found.level:g}"
        shares = [found.indirect, found.pure, found.interaction]
        rows.append(
            [name, found.through, quantity.cost(found.total), *(_share(share) for share in shares), found.reason]
        )
        if found.indirect is not None:
            index: Index = found.indirect
            marks.append(
                Interval(name, f"through {found.through}", index.value, index.low, index.high, index.percent())
            )
    for found in limits.mediations:
        if found.indirect is not None and found.indirect.low > 0.0:
            parts.append(
                Text(
                    f"{found.factor} at {found.level:g} costs {quantity.cost(found.total)} {quantity.unit}; "
                    f"{found.indirect.percent()} of that goes through {found.through}."
                )
            )
    if marks:
        words = "; ".join(f"{mark.factor}, {mark.series}: {mark.words}" for mark in marks)
        spec = intervals(marks, "share of the cost", share=True)
        parts.append(Charts([Chart("mediation", spec, f"Share of the cost that goes through what: {words}")]))
    cost = f"cost{f', {quantity.unit}' if quantity.unit else ''}"
    columns = ("factor", "through", cost, "indirect", "pure", "interaction", "why no share")
    numbers = frozenset({cost, "indirect", "pure", "interaction"})
    parts.append(Table("mediation", "Mediation of the cost", columns, rows, numbers))
    return Section("Why it hurts", "why", parts)


def _share(index: Index | None) -> str:
    return index.percent() if index is not None else ""
