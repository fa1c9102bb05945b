"""Which order of the factors the data tell, and which they leave open."""

from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Items, Part, Section, Text
from vcm_sweep.analysis.results.kinds import KINDS

_LONG = 12


def order(material: Material) -> Section | None:
    """The pairs of factors that the data do not separate; None where there is nothing to order."""
    result = material.result
    if not result.differences:
        return None
    pairs = [f"{pair.larger} and {pair.smaller}" for pair in result.not_separated()]
    confidence, label = f"{100 * result.confidence:g} %", KINDS[result.kind].label
    if not pairs:
        parts: list[Part] = [Text(f"None: the {confidence} interval of the difference excludes 0 for every pair.")]
    else:
        parts = [
            Text(
                f"{len(pairs)} of {len(result.differences)} pairs of factors are not separated: the {confidence} "
                f"interval of the difference of their {label} contains 0."
            ),
            Items(pairs, "the pairs, highest-ranked first", folded=len(pairs) > _LONG),
        ]
    return Section("Which order is open", "order", parts)
