"""How much of each imperfection can be tolerated, from the tolerance study beside the results."""

from typing import Any

from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.plots.lines import lines
from vcm_sweep.analysis.report.material import Material
from vcm_sweep.analysis.report.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.report.quantity import Quantity

_QUESTIONS = {
    "one": "One imperfection at a time",
    "joint": "All imperfections at once",
    "trade-off": "What more tolerance costs",
}


def tolerances(material: Material) -> Section | None:
    """A table per question that was asked; None where none was."""
    if not material.tolerances:
        return None
    parts: list[Part] = []
    for number, answer in enumerate(material.tolerances, 1):
        parts += _answer(number, answer)
    return Section("What can be tolerated", "tolerances", parts)


def _answer(number: int, answer: Any) -> list[Part]:
    quantity = Quantity(answer.metric)
    asked = _QUESTIONS.get(answer.question, answer.question)
    target = (
        f" keeping {quantity.label} at {quantity.value(answer.target)} or more" if answer.target is not None else ""
    )
    parts: list[Part] = [Text(f"{asked},{target} with {100 * answer.confidence:g} % confidence.")]
    if answer.confirmed:
        parts.append(Text(answer.confirmed))
    charts = []
    if answer.rows:
        columns = ("factor", "unit", "tolerance", "interval", "limited by", quantity.label)
        rows = [
            [
                row.factor,
                row.unit,
                f"{row.value:.3g}",
                f"[{row.low:.3g}, {row.high:.3g}]",
                row.limited_by,
                row.accuracy.percent() if quantity.share else row.accuracy.number(),
            ]
            for row in answer.rows
        ]
        parts.append(
            Table(f"tolerances-{number}", asked, columns, rows, frozenset({"tolerance", "interval", quantity.label}))
        )
        marks = _relative(answer, quantity)
        words = "; ".join(f"{row[0]} {row[2]} {row[3]} {row[1]}" for row in rows)
        charts.append(
            Chart(
                f"tolerances-{number}",
                intervals(marks, "tolerance, in parts of the largest", share=False, tooltip="tolerance"),
                f"Tolerances: {words}",
                "Each tolerance in parts of the largest upper end that its interval has.",
            )
        )
    charts += _front(number, answer)
    if charts:
        parts.append(Charts(charts))
    parts += [Text(remark, soft=True) for remark in answer.remarks]
    return parts


def _relative(answer: Any, quantity: Quantity) -> list[Interval]:
    """Tolerances have different units, so that each is drawn in parts of its own upper end."""
    marks = []
    for row in answer.rows:
        whole = max(abs(row.value), abs(row.high)) or 1.0
        words = f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}] {row.unit}".rstrip()
        marks.append(Interval(row.factor, "tolerance", row.value / whole, row.low / whole, row.high / whole, words))
    return marks


def _front(number: int, answer: Any) -> list[Chart]:
    charts = []
    objectives = list(answer.front[0].objectives) if answer.front else []
    if len(objectives) >= 2:
        across, up = objectives[:2]
        points = sorted(answer.front, key=lambda point: point.objectives[across].value)
        xs = [point.objectives[across].value for point in points]
        ys = [point.objectives[up].value for point in points]
        charts.append(
            Chart(
                f"front-{number}",
                lines({"best found": (xs, ys)}, across, up, dots=True),
                f"Front of {len(points)} points, {up} from {min(ys):.3g} to {max(ys):.3g} against {across} from "
                f"{xs[0]:.3g} to {xs[-1]:.3g}",
                "None of these can be bettered in one without losing in the other.",
            )
        )
    if len(answer.hypervolume) > 1:
        trials, volume = zip(*answer.hypervolume, strict=True)
        charts.append(
            Chart(
                f"hypervolume-{number}",
                lines({"hypervolume": (trials, volume)}, "trials", "hypervolume of the front"),
                f"Hypervolume of the front over the search: {volume[0]:.3g} at first, {volume[-1]:.3g} at the end",
                "Where it still grows, more trials would better the front.",
            )
        )
    return charts
