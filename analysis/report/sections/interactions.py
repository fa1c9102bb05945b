"""Which factors matter together: the design's second-order indices, or HDMR's where the design has none."""

from vcm_sweep.analysis.plots.bubbles import bubbles
from vcm_sweep.analysis.plots.intervals import interval_rows, intervals
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Part, Section, Text
from vcm_sweep.analysis.results.index import Index
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
    unexplained = source.indices.get("unexplained", ())
    if unexplained:
        parts.append(
            Text(f"No term of the fitted model explains {unexplained[0].percent()} of the variance.", soft=True)
        )
    order = [index.factor for index in material.result.ranking() if index.factor in source.factors]
    order += [name for name in source.factors if name not in order]
    top = pairs[:_STRONGEST]
    label = "; ".join(f"{pair.name} {pair.percent()}" for pair in top)
    charts = [
        Chart(
            "interaction-map",
            bubbles(pairs, order),
            f"Map of interactions, a disc per pair of factors. The strongest: {label}",
            "A disc's area is the share of variance, its ring the upper end of the interval; blue where the interval "
            "excludes 0. Columns are the factors by their numbers.",
        ),
        Chart(
            "interactions",
            intervals(interval_rows(top, "second order", share=True), "share of variance", share=True),
            f"The strongest interactions with intervals: {label}",
            f"The strongest of {len(pairs)} pairs.",
        ),
    ]
    return Section("Interactions", "interactions", [*parts, Charts(charts)])


def _found(source: Sensitivity) -> str:
    pairs = source.interactions()
    told: list[Index] = [pair for pair in pairs if pair.low > 0.0]
    if not told:
        return (
            f"No pair's interaction is distinguishable from none; the largest is {pairs[0].name}, {pairs[0].percent()}."
        )
    return (
        f"{len(told)} of {len(pairs)} interactions are distinguishable from none; the strongest is {told[0].name}, "
        f"{told[0].percent()} of the variance. Of {len(pairs)} intervals about {max(1, round(0.025 * len(pairs)))} may "
        "exclude 0 by chance."
    )
