"""How much of each imperfection can be tolerated, from the tolerance studies beside the results."""

import math
import shlex
from collections.abc import Sequence
from typing import Any

from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.plots.lines import lines
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.tolerance.answer import ToleranceAnswer

_QUESTIONS = {
    "one": "One imperfection at a time",
    "joint": "All imperfections at once",
    "trade-off": "The trade-off",
}


def tolerances(material: Material) -> Section | None:
    """A table for every question that was asked; else why there is no answer, or the command that asks."""
    if material.no_tolerances:
        return Section("What can be tolerated", "tolerances", [Text(material.no_tolerances)])
    if not material.tolerances:
        folder = material.results.folder
        if folder.local is None:
            return None
        command = shlex.join(["vcm-sweep", "tolerance", f"{folder}/study.toml", "--out", str(folder)])
        told = f"How much of each imperfection can be tolerated needs trainings of its own: {command}"
        return Section("What can be tolerated", "tolerances", [Text(told, soft=True)])
    return Section("What can be tolerated", "tolerances", answered(material.tolerances))


def answered(answers: Sequence[ToleranceAnswer]) -> list[Part]:
    """The answers in words, tables and pictures, one question after the other."""
    parts: list[Part] = []
    for answer in answers:
        parts += [Text(sentence) for sentence in answer.answer() if sentence]
        charts = []
        if answer.rows:
            parts.append(_table(answer))
            charts += _shares(answer)
        if answer.front:
            parts.append(_front_table(answer))
        charts += _front(answer)
        parts += [Charts(charts)] if charts else []
        parts += [Text(remark, soft=True) for remark in answer.remarks]
    return parts


def _table(answer: Any) -> Table:
    quantity = Quantity(answer.metric)
    columns = ("factor", "unit", "tolerance", "limited by", quantity.label)
    rows = [
        [
            f"{row.factor}, {row.end} end",
            row.unit,
            row.text,
            row.limited_by,
            quantity.text(row.accuracy),
        ]
        for row in answer.rows
    ]
    title = _QUESTIONS.get(answer.question, answer.question)
    return Table(f"tolerances-{answer.question}", title, columns, rows, frozenset({"tolerance", quantity.label}))


def _front_table(answer: Any) -> Table:
    """The points of a front with intervals, and where they are."""
    objectives = [index.factor for index in answer.front[0].objectives]
    factors = list(answer.front[0].values)
    rows = [
        [
            str(number),
            *(as_metric(index.factor).text(index) for index in point.objectives),
            *(f"{point.values[name]:.3g}" for name in factors),
        ]
        for number, point in enumerate(answer.front, 1)
    ]
    columns = ("point", *(Quantity(name).label for name in objectives), *factors)
    return Table("front", "Points of the trade-off that nothing beats", columns, rows, frozenset(columns[1:]))


def _shares(answer: Any) -> list[Chart]:
    """The picture of the tolerances, each as its part of the way from nominal to the end, since units differ."""
    marks = []
    for row in answer.rows:
        way = row.value - row.nominal
        if not way or math.isnan(row.share) or math.isnan(way):
            continue
        per_unit = row.share / way
        ends = [row.share if math.isnan(end) else per_unit * (end - row.nominal) for end in (row.low, row.high)]
        marks.append(Interval(f"{row.factor}, {row.end} end", "tolerance", row.share, min(ends), max(ends), row.text))
    if not marks:
        return []
    title = _QUESTIONS.get(answer.question, answer.question)
    spec = intervals(marks, "part of the way to the end of the range", share=True, tooltip="tolerance")
    words = "; ".join(f"{mark.factor} {mark.words}" for mark in marks)
    return [Chart(f"tolerances-{answer.question}", spec, f"{title}: {words}", f"{title}.")]


def _front(answer: Any) -> list[Chart]:
    charts = []
    if answer.front and len(answer.front[0].objectives) > 1:
        up, across = (objective.factor for objective in answer.front[0].objectives[:2])
        points = sorted(answer.front, key=lambda point: point.objectives[1].value)
        ys, xs = ([point.objectives[k].value for point in points] for k in (0, 1))
        charts.append(
            Chart(
                "front",
                lines({"best found": (xs, ys)}, across, up, dots=True),
                f"Front of {len(points)} points: {up} from {min(ys):.3g} to {max(ys):.3g}, {across} from {xs[0]:.3g} "
                f"to {xs[-1]:.3g}",
                "None of these can be bettered in one without losing in the other.",
            )
        )
    if len(answer.hypervolume) > 1:
        trainings, volume = zip(*answer.hypervolume, strict=True)
        charts.append(
            Chart(
                "hypervolume",
                lines({"hypervolume": (trainings, volume)}, "trainings", "hypervolume of the front"),
                f"Hypervolume of the front over the search: {volume[0]:.3g} at first, {volume[-1]:.3g} at the end",
                "Where it still grows, more trainings would better the front.",
            )
        )
    return charts
