"""The page of two studies of conditions side by side."""

import os
from pathlib import Path

from vcm_sweep.analysis.conditions.result import precise
from vcm_sweep.analysis.conditions.two_studies import ConditionsComparison
from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Fact, Items, Page, Section, Table
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.side_by_side import FILES, write_compared


def write_conditions_comparison(found: ConditionsComparison, directory: str | os.PathLike[str]) -> Path:
    """Write ``compare.html``, with numbers, summary and pictures beside it, and return its path.

    Raises:
        AnalysisError: the directory cannot be written.
    """
    return write_compared(conditions_comparison_page(found), found.write_parquet, Path(directory))


def conditions_comparison_page(found: ConditionsComparison) -> Page:
    """What is to be seen of a comparison."""
    quantity = Quantity(found.metric)
    one, other = found.names
    return Page(
        title=f"{one} against {other}",
        heading=f"{one} against {other} · {quantity.label} of common conditions",
        answer=found.answer(),
        open=False,
        facts=[
            Fact(result.baseline, precise(result[result.baseline].mean, quantity.share), f"the baseline of {name}")
            for name, result in zip(found.names, found.results, strict=True)
        ],
        sections=[_differences(found, quantity), Section("What to know", "caveats", [Items(found.remarks)])],
        numbers=found.to_dict(),
        files=FILES,
    )


def _differences(found: ConditionsComparison, quantity: Quantity) -> Section:
    one, other = found.names
    name = f"{other} minus {one}"
    scale, unit = quantity.scale, f", {quantity.unit}" if quantity.unit else ""
    marks = [
        Interval(
            shift.name, name, scale * shift.difference.value, scale * shift.difference.low,
            scale * shift.difference.high, precise(shift.difference, quantity.share),
        )
        for shift in found.shifts
        if shift.difference.low == shift.difference.low
    ]  # fmt: skip
    columns = ("condition", one, other, f"{name}{unit}", "is it real?")
    rows = [
        [
            shift.name, *(precise(row.mean, quantity.share) for row in (shift.one, shift.other)),
            precise(shift.difference, quantity.share), "yes" if found.real(shift) else "open",
        ]
        for shift in found.shifts
    ]  # fmt: skip
    words = "; ".join(f"{mark.factor} {mark.words}" for mark in marks)
    spec = intervals(marks, f"{quantity.label}, {name}{unit}", share=False, tooltip="difference")
    return Section(
        "Where the studies differ",
        "differences",
        [
            Charts([Chart("differences", spec, f"Differences with intervals. {words}")]),
            Table("differences", f"{quantity.label} in both studies", columns, rows, frozenset(columns[1:4])),
        ],
    )
