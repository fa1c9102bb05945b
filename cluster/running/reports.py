"""The report that a run ends with, and where reports go."""

from pathlib import Path
from typing import Any


def place_of(folder: Any) -> Path:
    """Where the report goes: into the results folder, or if that is in an object store, into the local ``reports``."""
    return folder.local or Path("reports") / str(folder).rstrip("/").rpartition("/")[2]


def written_report(results: Any) -> dict[str, str]:
    """The path of the report, which is written, or the sentence that says why there is none."""
    from vcm_sweep.analysis import write_report
    from vcm_sweep.device.errors import VcmSweepError

    try:
        return {"report": str(write_report(results, place_of(results.folder)))}
    except VcmSweepError as error:
        return {"no_report": str(error)}
