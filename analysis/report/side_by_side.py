"""The page of a comparison: two studies side by side, laid out like a report."""

import os
from collections.abc import Callable
from pathlib import Path

from vcm_sweep.analysis.files import write_json
from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Fact, Items, Page, Part, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.frame import refuse_unwritable, write_page
from vcm_sweep.analysis.results.kinds import KINDS
from vcm_sweep.analysis.studies.comparison import Comparison

FILES = (
    ("compare.md", "summary in Markdown"),
    ("compare.json", "all numbers, JSON"),
    ("compare.parquet", "the differences, Parquet"),
)


def write_comparison(comparison: Comparison, directory: str | os.PathLike[str]) -> Path:
    """Write ``compare.html``, with numbers, summary and pictures beside it, and return its path.

    Raises:
        AnalysisError: the directory cannot be written.
    """
    return write_compared(comparison_page(comparison), comparison.write_parquet, Path(directory))


def comparison_page(comparison: Comparison) -> Page:
    """What is to be seen of a comparison."""
    quantity = Quantity(comparison.results[0].metric)
    one, other = comparison.names
    answer = comparison.answer()
    return Page(
        title=f"{one} against {other}",
        heading=f"{one} against {other} · sensitivity of {quantity.label}",
        answer=(" ".join(answer[:2]), *answer[2:]),
        open=False,
        facts=_facts(comparison, quantity),
        sections=[_indices(comparison), _differences(comparison), _order(comparison), _caveats(comparison)],
        numbers=comparison.to_dict(),
        files=FILES,
    )


def write_compared(page: Page, write_parquet: Callable[[Path], None], target: Path) -> Path:
    """Write a comparison's page with its numbers beside it, and return its path; ``write_parquet`` writes its lines."""
    with refuse_unwritable(target):
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / "compare.json", page.numbers)
        write_parquet(target / "compare.parquet")
        return write_page(page, target, "compare")


def _facts(comparison: Comparison, quantity: Quantity) -> list[Fact]:
    facts = []
    for name, result in zip(comparison.names, comparison.results, strict=True):
        top = result.ranking()[0]
        facts.append(Fact(f"First in {name}", top.factor, f"{KINDS[result.kind].label} {result.text(top)}"))
    for name, result in zip(comparison.names, comparison.results, strict=True):
        luck = f"luck {result.luck.percent()}; {result.units} {result.unit}"
        facts.append(Fact(f"Mean {quantity.label}, {name}", quantity.value(result.mean), luck))
    return facts


def _indices(comparison: Comparison) -> Section:
    label = KINDS[comparison.results[0].kind].label
    marks = [
        Interval(shift.factor, name, index.value, index.low, index.high, comparison.text(index), index.missed)
        for shift in comparison.shifts
        for name, index in zip(comparison.names, (shift.one, shift.other), strict=True)
    ]
    words = "; ".join(f"{mark.factor} in {mark.series} {mark.words}" for mark in marks)
    axis = "share of variance" if comparison.share else label
    spec = intervals(marks, axis, share=comparison.share, tooltip=label)
    columns = ("factor", *(f"{label}, {name}" for name in comparison.names), *(f"range, {n}" for n in comparison.names))
    rows = [
        [s.factor, comparison.text(s.one), comparison.text(s.other), *comparison.ranges[s.factor]]
        for s in comparison.shifts
    ]
    return Section(
        "Both rankings",
        "rankings",
        [
            Charts([Chart("indices", spec, f"{label} in both studies. {words}")]),
            Table("indices", f"{label} in both studies", columns, rows, frozenset(columns[1:3])),
        ],
    )


def _differences(comparison: Comparison) -> Section:
    one, other = comparison.names
    label = KINDS[comparison.results[0].kind].label
    name = f"{other} minus {one}"
    marks = [
        Interval(
            shift.factor, name, shift.difference.value, shift.difference.low, shift.difference.high,
            comparison.difference(shift),
        )
        for shift in comparison.shifts
    ]  # fmt: skip
    words = "; ".join(f"{mark.factor} {mark.words}" for mark in marks)
    spec = intervals(marks, f"{label}, {name}", share=comparison.share, tooltip="difference")
    columns = ("factor", name, "is it real?")
    rows = [
        [s.factor, comparison.difference(s), "yes" if s.real else "open: the interval holds 0"]
        for s in comparison.shifts
    ]
    confidence = comparison.results[0].confidence
    note = (
        f"A difference is real where its {100 * confidence:g} % interval excludes 0. The intervals hold for all "
        f"factors at once: of {round(1 / (1 - confidence))} pairs of equal studies about one is said to differ."
    )
    return Section(
        "Is the difference real?",
        "differences",
        [
            Text(note, soft=True),
            Charts([Chart("differences", spec, f"Differences with intervals. {words}")]),
            Table("differences", f"Differences of the {label}", columns, rows, frozenset({name})),
        ],
    )


def _order(comparison: Comparison) -> Section:
    one, other = comparison.names
    parts: list[Part] = []
    told = {2: "both studies tell", 1: "one study tells, the other leaves open", 0: "both leave open"}
    if not comparison.swaps:
        parts.append(Text("Nowhere: the common factors have one order in both."))
    else:
        columns = (f"above in {one}", f"above in {other}", "what the data tell")
        rows = [[swap.first, swap.second, told[swap.told]] for swap in comparison.swaps]
        parts.append(Table("swaps", "Pairs in opposite order", columns, rows))
    return Section("Where the rankings differ", "order", parts)


def _caveats(comparison: Comparison) -> Section:
    found: list[Part] = [Items(comparison.remarks)] if comparison.remarks else [Text("Nothing to remark.")]
    return Section("What to know before concluding", "caveats", found)
