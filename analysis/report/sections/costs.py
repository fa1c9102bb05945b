"""What imperfections cost at the ends of their ranges, each alone against the nominal device."""

from collections.abc import Sequence
from typing import Any

from vcm_sweep.analysis.limits.result import level_words
from vcm_sweep.analysis.plots.intervals import Interval, intervals
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Section, Table, Text
from vcm_sweep.analysis.report.content.quantity import Quantity


def worst_costs(limits: Any) -> dict[str, Any]:
    """By factor, its cost at the end of its range where it costs more, highest first; empty where there are none."""
    found: dict[str, Any] = {}
    for cost in limits.ranking() if limits else ():
        found.setdefault(cost.factor, cost)
    return found


def cost_chart(costs: Sequence[Any], pairs: int, quantity: Quantity) -> Chart:
    """Costs with intervals, in the order given."""
    scale = quantity.scale
    marks = [
        Interval(
            found.place, "cost", scale * found.cost.value, scale * found.cost.low,
            scale * found.cost.high, quantity.cost(found.cost),
        )
        for found in costs
    ]  # fmt: skip
    unit = f", {quantity.unit}" if quantity.unit else ""
    return Chart(
        "costs",
        intervals(marks, f"cost in {quantity.label}{unit}", share=False, tooltip="cost"),
        f"Cost in {quantity.label}{unit} against the nominal device: "
        + "; ".join(f"{mark.factor} {mark.words}" for mark in marks),
        f"Each imperfection alone at an end of its range against the nominal device, {pairs} pairs of trainings with "
        "the same seeds.",
    )


def costs(limits: Any, quantity: Quantity) -> Section:
    """All costs, highest first, for the report of a limits study."""
    cost = f"cost{f', {quantity.unit}' if quantity.unit else ''}"
    columns = ("factor", "end", "at", cost, f"mean {quantity.label}", "diverged")
    rows = [
        [
            f"{number}. {found.factor}",
            found.end,
            level_words(found.level, found.unit),
            quantity.cost(found.cost),
            quantity.text(found.output),
            found.diverged.percent(),
        ]
        for number, found in enumerate(limits.ranking(), 1)
    ]
    open_pairs = [pair for pair in limits.differences if not pair.separated]
    return Section(
        "What each imperfection costs",
        "costs",
        [
            Text(
                "Every training with an imperfection is compared with one of the nominal device that has the same "
                "seeds, so luck that both share falls out.",
                soft=True,
            ),
            Charts([cost_chart(limits.ranking(), limits.pairs, quantity)]),
            Table("costs", "Costs at the ends of the ranges", columns, rows, frozenset(columns[3:])),
            Text(f"{len(open_pairs)} of {len(limits.differences)} pairs of costs are not separated by the data."),
        ],
    )
