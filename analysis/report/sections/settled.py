"""Whether the study is large enough: widths of the intervals, and indices from growing parts of the design."""

from vcm_sweep.analysis.convergence import converge
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.kinds import KINDS
from vcm_sweep.analysis.plots.growth import growth
from vcm_sweep.analysis.report.material import Material
from vcm_sweep.analysis.report.parts import Chart, Charts, Fact, Part, Section, Text

# Half-width of a total index below which it is called settled.
SETTLED = 0.05


def settled_fact(material: Material) -> Fact:
    """How wide the widest interval of the ranking index is."""
    result = material.result
    widest = max(result[result.kind], key=lambda index: index.high - index.low)
    half = (widest.high - widest.low) / 2.0
    share = KINDS[result.kind].share
    value = f"±{100 * half:.1f} %" if share else f"±{half:.2g}"
    if not share:
        return Fact("Widest interval", value, f"of {widest.factor}")
    words = "settled" if half <= SETTLED else "not settled"
    return Fact("Widest interval", value, f"{words} at ±{100 * SETTLED:g} %; it is that of {widest.factor}")


def settled(material: Material) -> Section | None:
    """The indices of growing parts of the design."""
    result = material.result
    if result.method != "sobol" or material.output.failed.any():
        return None
    try:
        parts = converge(material.y, result.factors, seeds=result.seeds, confidence=result.confidence)
    except AnalysisError:
        return None
    label = KINDS[result.kind].label
    last = "; ".join(f"{index.factor} {result.text(index)}" for index in result.ranking()[:4])
    chart = Chart(
        "convergence",
        growth(parts, label, share=KINDS[result.kind].share),
        f"{label} against {result.unit}, {parts[0].units} to {parts[-1].units}. At the end: {last}",
        f"The {label} from growing parts of the design, with intervals for the highest "
        f"{min(4, len(result.factors))}; where a line still moves, more {result.unit} are needed.",
    )
    said: list[Part] = [Charts([chart])]
    fact = settled_fact(material)
    said.insert(0, Text(f"The widest interval is {fact.value}, that of the {label}: {fact.meaning}."))
    return Section("Is it enough?", "settled", said)
