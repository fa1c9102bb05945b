"""How much of a single training is luck, and the indices of a single training."""

import math

from vcm_sweep.analysis.plots.stacked import stacked_bar
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.results.index import Index


def luck_words(material: Material) -> str:
    """What the share of luck means, or why it is not known."""
    if math.isnan(material.result.luck.value):
        return "no point was trained twice, so the share of the seed is unknown"
    return f"of the variance of {material.quantity.label} of a single training comes from its seed alone"


def luck(material: Material) -> Section:
    """Luck as a share, split where nested replicates were run, and the indices of a single training."""
    result = material.result
    parts: list[Part] = []
    if math.isnan(result.luck.value):
        parts.append(Text(f"Not measured: {luck_words(material)}. vcm-sweep extend --replicates adds them."))
    else:
        parts.append(
            Text(
                f"{result.luck.percent()} {luck_words(material)}; the imperfections hold the rest. All indices above "
                f"are those of {material.quantity.label} averaged over seeds."
            )
        )
        split = result.luck_split
        pieces = [("imperfections", 1.0 - result.luck.value, _rest(result.luck).percent())]
        if split is not None:
            parts.extend(Text(sentence) for sentence in split.sentences())
            pieces += [
                (f"luck: {name}", result.luck.value * max(0.0, index.value), f"{index.percent()} of the luck")
                for name, index in (("which array", split.array), ("the training itself", split.training))
            ]
        else:
            pieces.append(("luck of the seed", result.luck.value, result.luck.percent()))
        words = "; ".join(f"{name} {said}" for name, _, said in pieces)
        bar = stacked_bar(pieces, f"share of the variance of {material.quantity.label} of one training")
        parts.append(Charts([Chart("luck", bar, f"Where the variance of one training comes from: {words}")]))
    if "single_total" in result.indices and not math.isnan(result.luck.value):
        rows = [
            [
                index.factor,
                result.single_total[result.factors.index(index.factor)].percent(),
                result.single_first[result.factors.index(index.factor)].percent(),
            ]
            for index in result.ranking()
        ]
        columns = ("factor", "total index, single training", "first index, single training")
        parts.append(Text("Who trains once also meets luck: shares of the variance of one training.", soft=True))
        parts.append(Table("single-training", "Indices of a single training", columns, rows, frozenset(columns[1:])))
    return Section("Luck, and a single training", "luck", parts)


def _rest(luck: Index) -> Index:
    return Index("imperfections", 1.0 - luck.value, 1.0 - luck.high, 1.0 - luck.low)
