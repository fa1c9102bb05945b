"""A user's own code, named in a study as ``package.module:name``.

Only Python's own search path and the folder where vcm-sweep was started are looked through, never a results
folder: opening somebody else's results runs no code of theirs.
"""

import difflib
import importlib
import os
import re
import sys
from typing import Any

from vcm_sweep.sweep.errors import StudyError, one_line

_PATH = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


def load_attribute(path: str, field: str) -> Any:
    """What ``path``, "package.module:name", names.

    The current directory is looked through after what is installed, on the driver as on workers: a file that is named
    like an installed package hides nothing.

    Args:
        path: module and name, with one colon between.
        field: of the study that holds the path, as errors name it: ``"[network] data"``.

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
    # It stays on the path: the user's function may import its neighbours when it is called.
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    # A module that was written a moment ago may be missing from the import system's listing of its folder.
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{module_name}.".startswith(f"{missing}."):
            raise StudyError(f"{field} = {path!r}: importing {module_name} failed with {one_line(error)}") from None
        raise StudyError(
            f"{field} = {path!r}: there is no module {missing!r}: is it installed, or in the folder where you start "
            f"vcm-sweep ({os.getcwd()})?"
        ) from None
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, vars(module), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"define it in {getattr(module, '__file__', module_name)}"
        raise StudyError(f"{field} = {path!r}: the module {module_name} has no {name!r}: {hint}")
    return getattr(module, name)
