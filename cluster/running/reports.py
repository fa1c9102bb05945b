"""The report that a run ends with, and where reports go."""

from pathlib import Path
from typing import Any


def place_of(folder: Any) -> Path:
    """Where the report goes: into the results folder, or if that is in an object store, into the local ``reports``."""
    return folder.local or Path("reports") / str(folder).rstrip("/").rpartition("/")[2]


def no_ranking(results: Any, metric: str = "accuracy") -> dict[str, str]:
    """Why a report has no ranking, where nearly all trainings ended at chance level; {} where that is not so."""
    from vcm_sweep.analysis.errors import AnalysisError
    from vcm_sweep.analysis.records.chance import ChanceError, check_chance
    from vcm_sweep.analysis.records.metrics import read_output

    if results.study.conditions:
        return {}
    try:
        check_chance(results, read_output(results, metric))
    except ChanceError as error:
        return {"no_ranking": str(error)}
    except AnalysisError:
        pass
    return {}


def written_report(results: Any) -> dict[str, str]:
    """The path of the report, which is written, or the sentence that says why there is none, or no ranking in it."""
    from vcm_sweep.analysis import write_report
    from vcm_sweep.device.errors import VcmSweepError

    try:
        return {"report": str(write_report(results, place_of(results.folder))), **no_ranking(results)}
    except VcmSweepError as error:
        return {"no_report": str(error)}
