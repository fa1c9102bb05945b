"""Where accuracy has two humps, at chance level and trained: what decides between them, and what moves the trained."""

import pyarrow.compute as pc

from vcm_sweep.analysis.plots.intervals import interval_rows, intervals
from vcm_sweep.analysis.records.metrics import FEW
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.results.kinds import KINDS
from vcm_sweep.analysis.results.sensitivity import Sensitivity


def humps(material: Material) -> Section | None:
    """Sensitivity of P(diverged) or P(chance), and of the accuracy of what trained; None where there is one hump."""
    if material.metric != "accuracy":
        return None
    table = material.results.table()
    diverged = (pc.sum(pc.equal(table["status"], "diverged")).as_py() or 0) / table.num_rows
    chance = (pc.sum(pc.fill_null(table["at_chance"], False)).as_py() or 0) / table.num_rows
    metrics = []
    if diverged >= FEW:
        metrics += ["p_diverged", "accuracy_ok"]
    if chance + diverged >= FEW:
        metrics += ["p_chance", "accuracy_trained"]
    if not metrics:
        return None
    parts: list[Part] = [
        Text(
            f"{100 * diverged:.1f} % of the trainings diverged and {100 * chance:.1f} % ended at chance level, so "
            "accuracy has two humps. What decides between them need not be what moves the accuracy of those that "
            "trained."
        )
    ]
    charts, columns = [], {}
    for metric in metrics:
        found = material.again(metric)
        label = Quantity(metric).label
        if isinstance(found, str):
            parts.append(Text(f"{label}: {found}."))
            continue
        parts.append(Text(" ".join(found.answer(label))))
        columns[label] = {index.factor: found.text(index) for index in found[found.kind]}
        charts.append(_chart(metric, label, found))
    if columns:
        order = [index.factor for index in material.result.ranking()]
        rows = [[name, *(column.get(name, "") for column in columns.values())] for name in order]
        title = "Indices of both humps"
        parts += [Charts(charts), Table("humps", title, ("factor", *columns), rows, frozenset(columns))]
    return Section("Chance or trained", "humps", parts)


def _chart(metric: str, label: str, found: Sensitivity) -> Chart:
    kind = KINDS[found.kind]
    ranked = found.ranking()
    axis = "share of variance" if kind.share else kind.label
    words = "; ".join(f"{index.factor} {found.text(index)}" for index in ranked)
    return Chart(
        metric.replace("_", "-"),
        intervals(interval_rows(ranked, kind.label, share=kind.share), axis, share=kind.share),
        f"{label}, {kind.label}: {words}",
        f"{label[:1].upper()}{label[1:]}; its mean is {Quantity(metric).value(found.mean)}.",
    )
