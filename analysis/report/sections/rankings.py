"""Both rankings side by side: the index over the ranges, and the cost at the ends of the ranges."""

import shlex

from vcm_sweep.analysis.limits.result import level_words
from vcm_sweep.analysis.plots.intervals import interval_rows, intervals
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Table, Text
from vcm_sweep.analysis.report.sections.costs import cost_chart, worst_costs
from vcm_sweep.analysis.results.kinds import BESIDE, KINDS
from vcm_sweep.analysis.results.sensitivity import Sensitivity, listed
from vcm_sweep.analysis.studies.second_opinion import NAMES


def rankings(material: Material) -> Section:
    """The table of both rankings, which answers the study's question, and its picture."""
    result, quantity = material.result, material.quantity
    kind = KINDS[result.kind]
    parts: list[Part] = [Text(_meaning(material), soft=True), _table(material), Text(_agreement(material))]
    ranked = result.ranking()
    rows = interval_rows(ranked, kind.label, share=kind.share)
    if (beside := BESIDE.get(result.method)) and kind.share:
        first = {index.factor: index for index in result[beside]}
        other = interval_rows([first[i.factor] for i in ranked], KINDS[beside].label, share=kind.share)
        rows = [row for pair in zip(rows, other, strict=True) for row in pair]
    missed = result.indices.get("unexplained", ())
    rows += interval_rows(missed, "unexplained", share=True)
    axis = "share of variance" if kind.share else kind.label
    label = f"{kind.label} with {100 * result.confidence:g} % intervals. " + "; ".join(
        f"{index.factor} {result.text(index)}" for index in (*ranked, *missed)
    )
    charts = [Chart("indices", intervals(rows, axis, share=kind.share), label, _caption(result))]
    if material.limits:
        charts.append(cost_chart(tuple(worst_costs(material.limits).values()), material.limits.pairs, quantity))
    return Section("Which factor matters", "ranking", [*parts, Charts(charts), *_second_opinion(material)])


def _second_opinion(material: Material) -> list[Part]:
    """Whether other estimators agree, and their total indices side by side."""
    opinions = material.opinions
    if not opinions:
        return []
    columns = ["factor", NAMES[material.result.method], *(opinion.name for opinion in opinions)]
    others = [{index.factor: index for index in opinion.other.total} for opinion in opinions]
    rows = [
        [index.factor, index.percent(), *(other[index.factor].percent() for other in others)]
        for index in material.result.ranking()
    ]
    words = " ".join(opinion.words() for opinion in opinions)
    title = "Total indices by several estimators"
    return [
        Text(f"Second opinion. {words}"),
        Table("second-opinion", title, columns, rows, frozenset(columns[1:])),
    ]


def _caption(result: Sensitivity) -> str:
    confidence = f"{100 * result.confidence:g} %"
    if "unexplained" not in result.indices:
        return f"Dots are estimates, lines are {confidence} intervals."
    return (
        f"Dots are what the model explains, thick lines their {confidence} intervals; thin lines go on to where each "
        "index would be if all that is unexplained were its own."
    )


def _meaning(material: Material) -> str:
    result, quantity = material.result, material.quantity
    kind = KINDS[result.kind]
    said = (
        f"These are shares of the variance over the stated ranges, not of {quantity.label} lost; another range gives "
        "another share. "
        if kind.share
        else f"A ranking over the stated ranges by the {kind.label}; another range gives another ranking. "
    )
    if pairs := material.results.study.design.correlation:
        of = [f"{one} with {two} {rho:g}" for one, others in pairs.items() for two, rho in others.items()]
        said += (
            f"Factors are correlated ({', '.join(of)}, by rank): one that tells of another has a part of its share. "
        )
    if result.kind == "total":
        said += "The total index holds a factor's own effect and all its interactions, so totals can sum above 100 %. "
    return said + (
        f"Intervals are {100 * result.confidence:g} % {_intervals(result)}; nothing is clipped, so a "
        "factor without effect may come out below zero."
    )


def _table(material: Material) -> Table:
    result, quantity = material.result, material.quantity
    label = KINDS[result.kind].label
    beside = BESIDE.get(result.method)
    curves = {curve.factor: curve for curve in material.curves}
    costs = worst_costs(material.limits)
    place = {name: i for i, name in enumerate(costs, 1)}
    change = f"mean {quantity.label} across the range"
    columns = ["factor", "range", label]
    columns += [KINDS[beside].label] if beside else []
    cost = f"cost at the worse end{f', {quantity.unit}' if quantity.unit else ''}"
    columns += [cost, "place by cost"] if costs else [change]
    rows = []
    for number, index in enumerate(result.ranking(), 1):
        i = result.factors.index(index.factor)
        row = [f"{number}. {index.factor}", material.range(index.factor), result.text(index)]
        row += [result.text(result[beside][i], beside)] if beside else []
        if costs:
            found = costs.get(index.factor)
            end = f" at {level_words(found.level, found.unit)}" if found else ""
            row += [quantity.cost(found.cost) + end if found else "", str(place.get(index.factor, ""))]
        else:
            row.append(curves[index.factor].shape() if index.factor in curves else "")
        rows.append([*row, result.verdict(index.factor)])
    for index in result.indices.get("unexplained", ()):
        row = [index.factor, "", result.text(index, "unexplained"), *[""] * (len(columns) - 3)]
        rows.append([*row, "may be any factor's, and is in every interval"])
    short = all(len(row[1]) < 28 for row in rows)
    numbers = {label, cost, change, *(["range"] if short else []), *([KINDS[beside].label] if beside else [])}
    title = f"Factors by their {label}"
    return Table("ranking", title, [*columns, "verdict"], rows, frozenset(numbers))


def _agreement(material: Material) -> str:
    """Where the two rankings differ, and whether the data tell that they do."""
    result, quantity = material.result, material.quantity
    order = [index.factor for index in result.ranking()]
    label = KINDS[result.kind].label
    costs = worst_costs(material.limits)
    if not costs:
        return _by_change(material, order[0])
    by_cost = [name for name in costs if name in order]
    if not by_cost:
        return "Costs are of single factors and the ranking is of groups, so the two are not compared."
    said = (
        f"Both rankings put {order[0]} first."
        if by_cost[0] == order[0]
        else f"By {label} {order[0]} comes first; by cost at the worse end of its range it is {by_cost[0]}."
    )
    known = {(pair.larger, pair.smaller) for pair in result.differences if pair.separated}
    against = [
        f"{a} ranks above {b} by {label} but costs less"
        for a, b in known
        if a in costs and b in costs and costs[a].cost.high < costs[b].cost.low
    ]
    # Among factors without effect the places are luck, so a change there says nothing.
    felt = {i.factor for i in result.ranking() if not i.includes_zero} | {n for n in by_cost if costs[n].cost.low > 0.0}
    places = [[name for name in ranked if name in felt] for ranked in (order, by_cost)]
    moved = [name for name in places[1] if places[0].index(name) != places[1].index(name)]
    if against:
        said += f" They contradict each other, beyond their intervals, in that {'; '.join(sorted(against))}."
    elif moved:
        have = "has" if len(moved) == 1 else "have"
        said += f" {listed(moved)} {have} another place by cost, within what the intervals leave open."
    else:
        said += " Nowhere do they contradict each other beyond their intervals."
    return (
        f"{said} The index asks what explains the scatter of {quantity.label} where everything varies; the cost, what "
        "one imperfection alone takes from the nominal device."
    )


def _by_change(material: Material, top: str) -> str:
    quantity = material.quantity
    widest = max(material.curves, key=lambda curve: curve.span)
    change = f"by {quantity.change(widest.span)}, between bin means"
    agreement = (
        f"{top} also moves mean {quantity.label} most across its range ({change})."
        if widest.factor == top
        else f"By another measure the first place goes to {widest.factor}: it moves mean {quantity.label} most across "
        f"its range ({change})."
    )
    if material.no_limits:
        return f"{agreement} The cost at the ends of the ranges is not known: {material.no_limits}"
    return (
        f"{agreement} The cost at the ends of the ranges against the nominal device needs trainings of its own: "
        f"vcm-sweep limits {shlex.quote(material.folder)}"
    )


def _intervals(result: Sensitivity) -> str:
    """How the intervals were made."""
    if "unexplained" in result.indices:
        return f"ones by standard errors over {result.unit}, and hold what the model of the output does not explain"
    return f"bootstrap intervals over {result.unit}"
