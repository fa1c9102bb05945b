"""What needs simulations of a study, as functions that are called aside, with the text of a study or its folder."""

from pathlib import Path
from typing import Any

from vcm_sweep.sweep.designs.build import build_design, checked_design
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.running.extension import extend
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.study.study import Study


def check(text: str) -> None:
    """Raise StudyError for a study that cannot be trained."""
    checked_design(Study.from_text(text))


def make(text: str, frozen: dict[str, Any], folder: Path) -> None:
    """Make the results folder of a study, whole or not at all; one that is there stays. Errors as ``Store.create``."""
    Store.create(Study.from_text(text, frozen), Folder(folder, links=False))


def lengthen(folder: Path, to: int | None, replicates: int | None, replicate_rows: int | None) -> int:
    """Make a results folder that of a longer study; the number of trials that it adds. Errors as ``extend``."""
    before, after = extend(Folder(folder, links=False), to, replicates, replicate_rows)
    return len(build_design(after)) - len(build_design(before))
