"""The report of a study whose trainings ended at chance level: that, why it is likely so, and what was trained."""

from pathlib import Path

from vcm_sweep.analysis.records.chance import ChanceError
from vcm_sweep.analysis.records.metrics import read_output
from vcm_sweep.analysis.report.content.parts import Fact, Page
from vcm_sweep.analysis.report.content.quantity import Quantity
from vcm_sweep.analysis.report.content.snapshot import Snapshot
from vcm_sweep.analysis.report.frame import write_page
from vcm_sweep.analysis.report.sections.device import nominal_cell
from vcm_sweep.analysis.report.sections.provenance import made
from vcm_sweep.analysis.report.sections.trainings import all_trainings
from vcm_sweep.sweep.study.cautions import steps_in_words


def write_chance_page(
    snapshot: Snapshot, why: ChanceError, target: Path, metric: str, files: tuple[tuple[str, str], ...]
) -> Path:
    """Write ``report.html`` of a study without a ranking, and return its path; ``why`` says why there is none."""
    quantity, output = Quantity(metric), read_output(snapshot, metric)
    table = snapshot.table()
    share = f"{100 * output.chance:.0f} %"
    sections = [all_trainings(table, output, quantity), nominal_cell(snapshot.study.device), made(snapshot, ())]
    page = Page(
        title=f"{snapshot.study.name}: at chance level",
        heading=f"{snapshot.study.name} · no ranking of {quantity.label}",
        answer=(f"{share} of the trainings ended at chance level.", f"{why}."),
        open=True,
        facts=(
            Fact("At chance", share, "of the trainings, those that diverged included"),
            Fact("Trainings", f"{table.num_rows:,}", f"{len(snapshot.study.factors)} factors"),
            Fact("One pulse", "", steps_in_words(snapshot.study.settings) or "of a device of aihwkit's"),
        ),
        sections=[section for section in sections if section is not None],
        numbers={"study": snapshot.study.name, "metric": metric, "at_chance": output.chance, "why": str(why)},
        files=files,
    )
    return write_page(page, target, "report")
