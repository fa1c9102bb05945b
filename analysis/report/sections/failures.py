"""Trainings that failed: how many, of which kind, what was done about it, and on what failing depends."""

from vcm_sweep.analysis.plots.intervals import interval_rows, intervals
from vcm_sweep.analysis.report.content.material import Material
from vcm_sweep.analysis.report.content.parts import Chart, Charts, Fact, Part, Section, Table, Text
from vcm_sweep.analysis.results.kinds import KINDS


def failures_fact(material: Material) -> Fact:
    """How many failed, for the first screen."""
    found = material.result.failures
    if found is None or not found.failed:
        return Fact("Failures", "none", "every training ended; low accuracy is a result, not a failure")
    kinds = ", ".join(f"{count} {status}" for status, count in found.kinds.items())
    return Fact("Failures", f"{found.failed} of {found.trainings}", f"{kinds}; policy {found.policy}")


def failures(material: Material) -> Section | None:
    """The failures and the sensitivity of P(failed); None where no training failed."""
    found = material.result.failures
    if found is None:
        return None
    parts: list[Part] = [Text(sentence) for sentence in material.result.failure_sentences()]
    if (own := material.result.failing) is not None:
        kind, ranked = KINDS[own.kind], own.ranking()
        rows = [[index.factor, own.text(index), own.verdict(index.factor)] for index in ranked]
        words = "; ".join(f"{index.factor} {own.text(index)}" for index in ranked)
        spec = intervals(
            interval_rows(ranked, kind.label, share=kind.share),
            "share of variance" if kind.share else kind.label,
            share=kind.share,
        )
        columns = ("factor", kind.label, "verdict")
        parts += [
            Charts([Chart("failures", spec, f"What failing depends on, {kind.label}: {words}")]),
            Table("failures", "What failing depends on", columns, rows, frozenset({kind.label})),
        ]
    return Section("Failures", "failures", parts)
