"""Which factors matter together: the design's second-order indices, or HDMR's where the design has none."""

from vcm_sweep.analysis.plots.bubbles import bubbles
from vcm_sweep.analysis.plots.intervals import interval_rows, intervals
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Text
from vcm_sweep.analysis.results.sensitivity import Sensitivity

_STRONGEST = 8


def interactions(material: Material) -> Section | None:
    """The map of all pairs, and the strongest ones with intervals; None for a single factor."""
    if len(material.factors) < 2:
        return None
    source: Sensitivity | str = material.result
    note = "Second-order Sobol indices: what a pair moves together beyond the sum of their own effects."
    if "second" not in material.result.indices:
        source = material.again(material.metric, "hdmr")
        note = (
            "The design has no rows for second order, so these come from a model fitted to all points (HDMR, "
            "polynomials of one and of two factors): a first look. [design] second_order = true measures them."
        )
    if isinstance(source, str):
        return Section("Interactions", "interactions", [Text(f"Not known: {source}.")])
    pairs = source.interactions()
    if not pairs:
        why = f"{source.units} {source.unit} are too few for a model with pairs of factors"
        return Section("Interactions", "interactions", [Text(note, soft=True), Text(f"Not known: {why}.")])
    parts: list[Part] = [Text(note, soft=True), Text(_found(source))]
    if source is not material.result and source.misses:
        parts.append(Text(source.misses, soft=True))
    told = source.told_interactions()
    if not told:
        return Section("Interactions", "interactions", parts)
    order = [index.factor for index in material.result.ranking() if index.factor in source.factors]
    order += [name for name in source.factors if name not in order]
    top = told[:_STRONGEST]
    label = "; ".join(f"{pair.name} {pair.percent()}" for pair in top)
    charts = [
        Chart(
            "interaction-map",
            bubbles(pairs, order, told),
            f"Map of interactions, a disc per pair of factors. The strongest: {label}",
            "A disc's area is the share of variance, its ring the upper end of the interval; blue where it is "
            "distinguishable from none. Columns are the factors by their numbers.",
        ),
        Chart(
            "interactions",
            intervals(interval_rows(top, "second order", share=True), "share of variance", share=True),
            f"The strongest interactions with intervals: {label}",
            f"The strongest of {len(pairs)} pairs, those that are distinguishable from none.",
        ),
    ]
    return Section("Interactions", "interactions", [*parts, Charts(charts)])


def _found(source: Sensitivity) -> str:
    count, told = len(source.interactions()), source.told_interactions()
    if not told:
        return source.other_interactions()
    return (
        f"{len(told)} of {count} interactions are distinguishable from none; the strongest is {told[0].name}, "
        f"{told[0].percent()} of the variance. {source.other_interactions()}".rstrip()
    )
