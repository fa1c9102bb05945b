"""The report of a limits study by itself: costs, their shares by mismatch and speed, and how it was made."""

from pathlib import Path
from typing import Any

from vcm_sweep.analysis.report.content.parts import Fact, Page
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.content.snapshot import Snapshot
from vcm_sweep.analysis.report.frame import write_page
from vcm_sweep.analysis.report.sections.costs import costs
from vcm_sweep.analysis.report.sections.provenance import made
from vcm_sweep.analysis.report.sections.why import mediation


def write_limits_page(snapshot: Snapshot, limits: Any, target: Path, files: tuple[tuple[str, str], ...]) -> Path:
    """Write ``report.html`` of a study whose design is limits, and return its path; limits: a `Limits`."""
    quantity = Quantity(limits.metric)
    top = limits.ranking()[0]
    how = f"{limits.pairs} pairs of trainings; {limits.resamples} bootstrap resamples over pairs."
    failed = limits.failures
    sections = [costs(limits, quantity), mediation(limits, quantity), made(snapshot, (how, *limits.notes()))]
    page = Page(
        title=f"{snapshot.study.name}: what costs {quantity.label}",
        heading=f"{snapshot.study.name} · cost in {quantity.label} at the limits",
        answer=limits.answer(),
        open=bool(limits.rivals(top)),
        facts=(
            Fact("Nominal device", quantity.text(limits.nominal), quantity.label),
            Fact("Highest cost", quantity.cost(top.cost), f"{quantity.unit} {top.place}".strip()),
            Fact("Pairs", f"{limits.pairs}", f"{snapshot.table().num_rows:,} trainings"),
            Fact("Failures", f"{failed.failed}" if failed.failed else "none", f"of {failed.trainings} trainings"),
        ),
        sections=[section for section in sections if section is not None],
        numbers={"study": snapshot.study.name, **limits.to_dict()},
        files=files,
    )
    return write_page(page, target, "report")
