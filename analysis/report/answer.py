"""The first screen: the answer in one sentence with its certainty, and the facts beside it."""

from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Fact
from vcm_sweep.analysis.report.sections.costs import worst_costs
from vcm_sweep.analysis.report.sections.failures import failures_fact
from vcm_sweep.analysis.report.sections.luck import luck_words
from vcm_sweep.analysis.report.sections.settled import settled_fact
from vcm_sweep.analysis.results.kinds import KINDS


def answer(material: Material) -> tuple[str, ...]:
    """The conclusion, and which other estimator disagrees.

    Where costs were measured, its first sentence also says what the first-ranked factor costs.
    """
    result, quantity = material.result, material.quantity
    sentences = list(result.answer(quantity.label))
    top = result.ranking()[0]
    cost = worst_costs(material.limits).get(top.factor)
    if cost is not None and not top.includes_zero:
        sentences[0] = f"{sentences[0].rstrip('.')}, and {_costs(material, cost)}."
    return (*sentences, *(opinion.words() for opinion in material.opinions if not opinion.agrees))


def _costs(material: Material, cost: Any) -> str:
    quantity = material.quantity
    end = "upper" if cost.end == "high" else "lower"
    amount = f"{quantity.cost(cost.cost)}{f' {quantity.unit}' if quantity.unit else ''}"
    if cost.cost.low <= 0.0 <= cost.cost.high:
        return f"at its {end} limit its cost is not distinguishable from none ({amount} against the nominal device)"
    return f"at its {end} limit costs {amount} against the nominal device"


def facts(material: Material) -> Sequence[Fact]:
    """The facts beside the answer: luck, whether the study is large enough, failures, and how much was trained."""
    result, quantity, table = material.result, material.quantity, material.results.table()
    at_chance = pc.sum(pc.fill_null(table["at_chance"], False)).as_py() or 0
    spread = f"{100 * result.variance**0.5:.2g} points" if quantity.share else f"{result.variance**0.5:.2g}"
    return (
        Fact("Luck", result.luck.percent(), luck_words(material)),
        settled_fact(material),
        failures_fact(material),
        Fact(
            f"Mean {quantity.label}", quantity.value(result.mean),
            f"standard deviation over the ranges {spread}; {at_chance} of {table.num_rows} at chance level",
        ),
        Fact(
            "Trainings", f"{table.num_rows:,}",
            f"{result.units} {result.unit}, {len(material.factors)} factors; ranked by {KINDS[result.kind].label}",
        ),
    )  # fmt: skip
