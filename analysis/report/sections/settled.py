"""Whether the study is large enough: how well each index is known, how stable the order is, and how indices settled."""

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.plots.growth import growth
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Fact, Part, Section, Table, Text
from vcm_sweep.analysis.results.enough import HALF_WIDTH, Enough
from vcm_sweep.analysis.results.index import two_digits
from vcm_sweep.analysis.results.kinds import KINDS
from vcm_sweep.analysis.studies.convergence import converge_results


def settled_fact(material: Material) -> Fact:
    """For how many factors the ranking index is known well enough, and which one is known worst."""
    verdicts = material.result.enough()
    done = [verdict for verdict in verdicts if verdict.settled]
    worst = max(verdicts, key=lambda verdict: verdict.half_width)
    goal = f"to ±{_width(material, worst.goal)}"
    value = "yes" if len(done) == len(verdicts) else f"{len(done)} of {len(verdicts)} factors"
    if len(done) == len(verdicts):
        return Fact("Settled", value, f"{goal}; the widest interval is that of {worst.factor}")
    return Fact("Settled", value, f"{goal}; {worst.factor} is known to ±{_width(material, worst.half_width)}")


def settled(material: Material) -> Section:
    """Verdicts, the stability of the ranking, and the index from growing parts of the design."""
    result = material.result
    label, verdicts = KINDS[result.kind].label, {verdict.factor: verdict for verdict in result.enough()}
    stability = result.rank_stability()
    places = dict(stability.places)
    columns = ("factor", f"{label} known to", "verdict", "keeps its place in")
    rows = [
        [
            index.factor,
            f"±{_width(material, verdicts[index.factor].half_width)}",
            verdicts[index.factor].words(),
            f"{100 * places[index.factor]:.0f} % of resamples",
        ]
        for index in result.ranking()
    ]
    parts: list[Part] = [
        Text(f"{stability.words()} {_needed(material, tuple(verdicts.values()))}"),
        Table("settled", "Is it enough?", columns, rows, frozenset({columns[1]})),
    ]
    try:
        grown = converge_results(
            material.results, material.metric, method=result.method, policy=material.policy,
            confidence=result.confidence, whole=result,
        )  # fmt: skip
    except AnalysisError:
        grown = ()
    if len(grown) > 1:
        last = "; ".join(f"{index.factor} {result.text(index)}" for index in result.ranking()[:4])
        parts.append(
            Charts(
                [
                    Chart(
                        "convergence",
                        growth(grown, label, share=KINDS[result.kind].share),
                        f"{label} against {result.unit}, {grown[0].units} to {grown[-1].units}. At the end: {last}",
                        f"The {label} from growing parts of the design, with intervals for the highest "
                        f"{min(4, len(result.factors))}; where a line still moves, more {result.unit} are needed.",
                    )
                ]
            )
        )
    return Section("Is it enough?", "settled", parts)


def _needed(material: Material, verdicts: tuple[Enough, ...]) -> str:
    lacking = max(verdicts, key=lambda verdict: verdict.needs)
    goal = _width(material, lacking.goal)
    if not lacking.needs:
        return f"Every index is known to ±{goal} or better."
    return (
        f"For all of them to ±{goal} the design lacks about {lacking.needs} {lacking.unit}: vcm-sweep run with "
        f"--until {HALF_WIDTH:g} adds them."
    )


def _width(material: Material, half: float) -> str:
    return f"{two_digits(100 * half)} points" if KINDS[material.result.kind].share else f"{half:.2g}"
