"""The files that a submitted study takes along: our code, the study, and the user's own modules; nothing else."""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.user_code import own_folders

PACKAGES = ("device", "sweep", "analysis", "cluster")
JOB_PACKAGE = "vcm_sweep_job"
"""The package that holds a job's files: job.json, and own/ with the study and the user's modules, laid out as here."""

MAX_MB = 50.0
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "tests")


def pack_code(folder: Path) -> Path:
    """Copy our four packages as they run here into a folder, so that the version on the cluster does not matter.

    Returns:
        The new folder ``vcm_sweep``, a regular package, which takes precedence over an installed one.
    """
    made = folder / "vcm_sweep"
    made.mkdir()
    (made / "__init__.py").write_text('"""Shipped with a job."""\n', encoding="utf-8")
    for name in PACKAGES:
        module = __import__(f"vcm_sweep.{name}", fromlist=["__path__"])
        shutil.copytree(Path(next(iter(module.__path__))).resolve(), made / name, ignore=_LEFT_OUT)
    return made


def pack_job(folder: Path, study: Path, text: str, job: dict[str, Any], own: Iterable[Path]) -> Path:
    """Make the job's package in a folder: the study, what is to be done (``job``, as JSON), and the user's own files.

    Args:
        study: the study file; its name, or its place below the current directory, goes into the job as ``study``.
        text: of the study, which may need fewer other files than the study file.
        own: files and folders below the current directory; they keep their relative place in ``own/``.

    Raises:
        StudyError: a file outside the current directory, or more than 50 MB.
    """
    made = folder / JOB_PACKAGE
    (made / "own").mkdir(parents=True)
    (made / "__init__.py").write_text('"""Files of a job."""\n', encoding="utf-8")
    here, whole = Path.cwd().resolve(), study.resolve()
    place = whole.relative_to(here) if whole.is_relative_to(here) else Path(study.name)
    (made / "job.json").write_text(json.dumps(job | {"study": str(place)}), encoding="utf-8")
    (made / "own" / place).parent.mkdir(parents=True, exist_ok=True)
    (made / "own" / place).write_text(text, encoding="utf-8")
    for path in own:
        whole = (here / path).resolve()
        if not whole.exists() or not whole.is_relative_to(here) or whole == here:
            raise StudyError(f"{path} cannot be taken along: only files and folders below {here} can")
        target = made / "own" / whole.relative_to(here)
        target.parent.mkdir(parents=True, exist_ok=True)
        if whole.is_dir():
            shutil.copytree(whole, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
        else:
            shutil.copyfile(whole, target)
    check_size(made)
    return made


def check_size(folder: Path) -> float:
    """The size of a folder in megabytes; StudyError if it is too large to be sent with every job."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    megabytes = sum(sizes.values()) / 1e6
    if megabytes > MAX_MB:
        largest = max(sizes, key=lambda path: sizes[path])
        raise StudyError(
            f"what the study takes along has {megabytes:.0f} MB, at most {MAX_MB:g} are allowed; the largest file is "
            f"{largest.relative_to(folder)}: put data where the cluster's machines read it, and name it by --data-dir"
        )
    return megabytes


def own_modules() -> list[Path]:
    """Files of all imported modules that lie below the current directory or the study's folder: the user's own.

    Call it after the study has been read, because reading imports the modules that the study names. For a module in a
    package, the whole package is taken.
    """
    here, folders = Path.cwd().resolve(), [Path(folder).resolve() for folder in own_folders()]
    libraries = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found: set[Path] = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] in ("vcm_sweep", "__main__"):
            continue
        path = Path(file).resolve()
        # torch has modules whose __file__ is a name and no file.
        if not path.is_file() or not any(path.is_relative_to(folder) for folder in folders):
            continue
        if any(path.is_relative_to(library) for library in libraries):
            continue
        if not path.is_relative_to(here):
            found.add(path)
            continue
        relative = path.relative_to(here)
        package = name.partition(".")[0]
        found.add(Path(package) if relative.parts[0] == package and (here / package).is_dir() else relative)
    return sorted(found)


def job_folder() -> Path | None:
    """Where a job's own files are on this machine, driver or worker; None outside of a job."""
    for entry in sys.path:
        folder = Path(entry or os.getcwd()) / JOB_PACKAGE
        if (folder / "job.json").is_file():
            return folder
    return None
