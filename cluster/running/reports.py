"""The report that a run ends with, and where reports go."""

import shlex
from pathlib import Path
from typing import Any


def place_of(folder: Any) -> Path:
    """Where the report goes: into the results folder, or if that is in an object store, into the local ``reports``."""
    return folder.local or Path("reports") / str(folder).rstrip("/").rpartition("/")[2]


def written_report(results: Any) -> dict[str, str]:
    """The path of the report, which is written, or the sentence that says why there is none, or no ranking in it.

    Where more points would do, ``next`` is the command that makes so many.
    """
    from vcm_sweep.analysis.errors import TooFewError
    from vcm_sweep.device.errors import VcmSweepError

    try:
        return report_at(place_of(results.folder), results)
    except TooFewError as error:
        if not error.to:
            return {"no_report": str(error)}
        command = shlex.join(["vcm-sweep", "extend", str(results.folder), "--to", str(error.to)])
        return {"no_report": error.lacks, "next": command}
    except VcmSweepError as error:
        return {"no_report": str(error)}


def report_at(target: Path, results: Any, metric: str = "accuracy", **how: str) -> dict[str, str]:
    """Write the report to a folder; its path, and why there is no ranking in it if that is so."""
    from vcm_sweep.analysis.report.write import written
    from vcm_sweep.device.doing import Doing

    with Doing("writing the report"):
        page, why = written(results, target, metric, **how)
    return {"report": str(page)} | ({"no_ranking": why} if why else {})
