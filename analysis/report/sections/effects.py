"""Direction and shape of every factor's effect."""

from collections.abc import Sequence

from vcm_sweep.analysis.plots.curves import curve
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Section, Text
from vcm_sweep.sweep.study.distributions import Distribution, Whole


def effects(material: Material) -> Section:
    """A small picture per factor, highest-ranked first, all with one vertical axis."""
    quantity, curves = material.quantity, material.curves
    by_name = {factor.name: factor for factor in material.factors}
    low, high = min(min(c.low) for c in curves), max(max(c.high) for c in curves)
    margin = 0.05 * (high - low) or 0.01
    domain = (low - margin, high + margin)
    place = {index.factor: i for i, index in enumerate(material.result.ranking())}
    ranked = sorted(curves, key=lambda found: place.get(found.factor, 0))
    charts = [
        Chart(
            f"effect-{i}",
            curve(
                found,
                _unit(by_name[found.factor].unit),
                quantity.label,
                domain,
                share=quantity.share,
                axis=_axis(by_name[found.factor].law),
                names=_names(by_name[found.factor].law, found.centre),
            ),
            f"Mean {quantity.label} against {found.factor}, {_span(by_name[found.factor].law, found.centre)}: "
            f"{found.shape()}",
        )
        for i, found in enumerate(ranked, 1)
    ]
    note = (
        f"Mean {quantity.label} in bins of equal counts, everything else averaged {_over(material)}; the band is the "
        f"{100 * material.result.confidence:g} % interval of the mean. All pictures share one vertical axis."
    )
    return Section("Direction and shape", "effects", [Text(note, soft=True), Charts(charts, many=True)])


def _over(material: Material) -> str:
    """Over what the other factors are averaged."""
    return "as it goes with it" if material.results.study.design.correlation else "over its range"


def _names(law: Distribution, centre: Sequence[float]) -> list[str]:
    """Choices by name; none of values that are compared by their size."""
    return [] if law.ordered else [law.text(min(law.levels, key=lambda level: abs(level - x))) for x in centre]


def _span(law: Distribution, centre: Sequence[float]) -> str:
    return ", ".join(_names(law, centre)) or f"from {centre[0]:.3g} to {centre[-1]:.3g}"


def _axis(law: Distribution) -> str:
    if law.levels and not isinstance(law, Whole):
        return "levels" if law.ordered else "choices"
    return "log" if law.log else "linear"


def _unit(unit: str) -> str:
    """The unit as an axis shows it: none for a relative spread, or a number."""
    return "" if unit in ("relative", "1") else unit
