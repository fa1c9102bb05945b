"""What a study of a stranger may name: no module, no weights and no file of the server, unless it was allowed to."""

import importlib.machinery
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.toml_text import read_toml

# Names for people, which are looked up nowhere on a disk.
_FREE = ("name", "baseline")
# Fields that are a file, whatever their text looks like.
_FILES = ("start", "conditions")
# Fields that name a cell, which may be one of the service's own.
_CELLS = ("[device] cell", "[condition.device] cell")
_CELL = re.compile(r"cells/[A-Za-z0-9_][A-Za-z0-9_.-]*/(cell|doubtful)\.toml")
_ENDINGS = (".toml", ".csv", ".parquet", ".pt", ".py", ".safetensors")


def with_own_cells(text: str, allowed: Path | None, library: Path) -> str:
    """The text of a study, with the numbers of the service's cells in place of their names; errors as `check_own`.

    Args:
        text, allowed, library: as of `check_own`.
    """
    if not check_own(text, allowed, library):
        return text
    from vcm_sweep.sweep.study.named_files import with_named_files

    try:
        return with_named_files(text, library)
    except StudyError as error:  # as the study names it, without where the service has it
        raise StudyError(str(error).replace(f"{library}/", "")) from None


def check_own(text: str, allowed: Path | None, library: Path | None = None) -> bool:
    """Whether a study names cells of the service; StudyError if it names code or files that this service does not open.

    Args:
        text: of the study; what is no TOML is left to whoever reads the study.
        allowed: the folder in which own modules and files may be; None: there is none.
        library: the folder of what the service has of its own, whose ``cells`` may be named; None: there is none.

    >>> check_own('[network]\\ndata = "os:abort"', None)
    Traceback (most recent call last):
    ...
    vcm_sweep.sweep.errors.StudyError: [network] data = 'os:abort' is code of your own, ... --allow-code FOLDER
    """
    try:
        table = read_toml(text)
    except StudyError:
        return False
    cells = False
    for field, value in _named(table):
        if library is not None and field in _CELLS and _is_cell(value, library):
            cells = True
        elif allowed is None:
            what = "code" if ":" in value else "a file"
            raise StudyError(
                f"{field} = {value!r} is {what} of your own, which this service does not open: name what it has, or "
                "ask for a service that was started with --allow-code FOLDER"
            )
        elif ":" in value:
            _check_module(field, value, allowed)
        else:
            _check_file(field, value, allowed)
    return cells


def _named(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(field as errors name it, text) of all that names code or a file."""
    for top, content in table.items():
        for path, value in _texts(content):
            field = f"[{'.'.join((top, *path[:-1]))}] {path[-1]}" if path else top
            key = path[-1] if path else top
            looks = any(mark in value for mark in "/\\:\0") or value.endswith(_ENDINGS)
            if key not in _FREE and value and (looks or key in _FILES):
                yield field, value


def _texts(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All texts in a table, with their keys."""
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _texts(value, (*path, key))
    elif isinstance(content, list):
        for value in content:
            yield from _texts(value, path)


def _is_cell(value: str, library: Path) -> bool:
    """Whether a text is the path of a cell that was fitted here, from the library; no link may lead elsewhere."""
    path = library / value
    return _CELL.fullmatch(value) is not None and path.is_file() and path.resolve() == library.resolve() / value


def _check_module(field: str, value: str, allowed: Path) -> None:
    top = value.partition(":")[0].partition(".")[0]
    there = importlib.machinery.PathFinder.find_spec(top, [str(allowed)])
    try:
        found = importlib.util.find_spec(top) if top else None
    except ValueError:
        found = None
    # An installed module of that name would be imported in its place.
    if there is None or (found is not None and found.origin != there.origin):
        raise StudyError(f"{field} = {value!r} must be a module in the folder of --allow-code, and no installed one")


def _check_file(field: str, value: str, allowed: Path) -> None:
    path = (allowed / value).resolve() if "\0" not in value else allowed
    if Path(value).is_absolute() or not path.is_relative_to(allowed) or path == allowed:
        raise StudyError(f"{field} = {value!r} must be a file in the folder of --allow-code, by its path from there")
