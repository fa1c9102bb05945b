"""A user's own code, named in a study as ``package.module:name``.

It is looked for on Python's own search path, beside the study file, and in the folder where vcm-sweep was started,
never in a results folder: opening somebody else's results must not run their code.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

from vcm_sweep.sweep.errors import StudyError, one_line
from vcm_sweep.sweep.nearest_names import did_you_mean

_beside: list[str] = []
_searched: list[str] = []  # what this module put on Python's path
_LOCK = Lock()  # studies are read by many threads of a service

_PATH = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


def load_attribute(path: str, field: str) -> Any:
    """The object that ``path``, "package.module:name", names.

    The folders of :func:`own_folders` are searched after the installed packages, on the driver and on workers, so a
    file in them that has the name of an installed package does not hide the package.

    Args:
        path: module and name, with one colon between.
        field: the field of the study that holds the path, as errors name it: ``"[network] data"``.

    Raises:
        StudyError: one line; no such path, module or name, or the module fails while it is imported.

    Example:
        >>> load_attribute("math:tau", "[network] data")
        6.283185307179586
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise StudyError(f"{field} = {path!r} must be 'package.module:name', with one colon")
    module_name, name = match["module"], match["name"]
    # They stay on the path, since the user's function may import other modules from there when it is called.
    search_in(own_folders())
    # The import system caches the listing of a folder, in which a module that was just written may be missing.
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{module_name}.".startswith(f"{missing}."):
            raise StudyError(f"{field} = {path!r}: importing {module_name} failed with {one_line(error)}") from None
        raise StudyError(
            f"{field} = {path!r}: there is no module {missing!r}: install it, or put it beside the study file, or into "
            f"the folder where you start vcm-sweep; looked for in {' and '.join(own_folders())}"
        ) from None
    _check_place(module, module_name, f"{field} = {path!r}")
    if not hasattr(module, name):
        hint = did_you_mean(name, vars(module), f"define it in {getattr(module, '__file__', module_name)}")
        raise StudyError(f"{field} = {path!r}: the module {module_name} has no {name!r}: {hint}")
    return getattr(module, name)


def look_beside(folder: str | Path) -> None:
    """Look for the user's modules in this folder first, from now on: that of a study file that is read."""
    whole = str(Path(folder).resolve())
    with _LOCK:
        _beside[:] = [whole, *(other for other in _beside if other != whole)]


def own_folders() -> list[str]:
    """The folders in which the user's own modules are looked for: those of the study files read, then the current one.

    >>> os.getcwd() in own_folders()
    True
    """
    return list(dict.fromkeys([*_beside, os.getcwd()]))


def _check_place(module: Any, name: str, given: str) -> None:
    """Raise StudyError where a module comes from elsewhere, and the study that is read has one beside it that differs.

    A process has one module of a name, so that it would train another study's network; and Python looks into the
    current folder first in notebooks and under ``python -m``.
    """
    file = Path(getattr(module, "__file__", None) or os.devnull).resolve()
    others = [folder for folder in [*_beside[1:], os.getcwd()] if file.is_relative_to(folder)]
    if not _beside or not others or file.is_relative_to(_beside[0]):
        return
    place = Path(_beside[0], *name.split("."))
    own = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
    if own and own.read_bytes() != file.read_bytes():
        raise StudyError(
            f"{given}: the module {name} of this process is that of {others[0]}, and {_beside[0]} has another one: "
            "rename one of them, or read the two studies in two processes"
        )


def search_in(folders: Iterable[str]) -> None:
    """Let this process import modules from folders, in this order, which come after all others.

    A relative one is that of now: Python would look for it in whatever folder the process stands in later.
    """
    whole = [os.path.abspath(folder) for folder in folders]
    with _LOCK:
        wanted = [folder for folder in whole if not (folder == os.getcwd() and "" in sys.path)]
        new = [folder for folder in wanted if folder in _searched or folder not in sys.path]
        rest = [folder for folder in _searched if folder not in new]
        sys.path[:] = [folder for folder in sys.path if folder not in _searched] + new + rest
        _searched[:] = new + rest
