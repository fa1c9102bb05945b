"""Trainings that ended at chance level: whether they are most of a study's, and why that is likely so."""

from typing import TYPE_CHECKING

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.records.metrics import Output
from vcm_sweep.sweep.study.cautions import cautions

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results

_NO_CAUSE = (
    "narrow their ranges, or see whether the nominal device trains at all (epochs, lr, init; vcm-sweep plan says how "
    "far a pulse moves a weight)"
)


class ChanceError(AnalysisError):
    """Most trainings ended at chance level, so the records carry no ranking, and more of them would not either."""


def check_chance(results: "Results", output: Output, share: float = 1.0) -> None:
    """Raise ChanceError where at least this share of the trainings diverged or ended at chance level.

    A few that trained may be an answer by themselves, such as a factor that must be small: so by default only where
    none did. The message names the likely cause, as far as the study shows it.
    """
    if not (output.metric.meets_chance or output.metric.name == "loss") or not output.chance >= share:
        return
    trainings = int((output.status != "").sum())
    many = "all" if output.chance == 1.0 else f"{100 * output.chance:.0f} % of"
    left = "nothing tells" if output.chance == 1.0 else "too few trained to tell"
    causes = "; ".join(cautions(results.study.settings)) or _NO_CAUSE
    raise ChanceError(
        f"{output.metric.name}: {many} {trainings} trainings diverged or ended at chance level, so {left} the "
        f"factors apart, and more points would not: {causes}"
    )
