"""All cells of a service, and one of them: its numbers, where they come from, and what its fit has said."""

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vcm_sweep.cluster.service.problems import ConflictError, NotFoundError, ServiceError
from vcm_sweep.cluster.service.processes import Processes, last_line
from vcm_sweep.cluster.service.settings import ServiceSettings
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.library.library import LibraryCell, cell_names, library_cell
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.sweep.errors import StoreError
from vcm_sweep.sweep.folder import Folder

CELL, DOUBTFUL, PRINTED = "cell.toml", "doubtful.toml", "fit.out"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}")


@dataclass(frozen=True)
class CellCard:
    """A cell in the list.

    Attributes:
        name: of the cell. source: where its numbers come from.
        state: "library"; of a fit "fitting", "believable", "doubtful" or "failed"; "unreadable" for a torn file.
        reason: of one that failed, one line.
        named: how a study names it, as ``cell`` under [device]; "" where there is none yet.
        changed: seconds of the epoch of the last change; 0 for one of the library.
    """

    name: str
    source: str = ""
    state: str = "library"
    reason: str = ""
    named: str = ""
    changed: float = 0.0


@dataclass(frozen=True)
class CellValue:
    """A parameter of a cell, as ``vcm-sweep device show --json`` has it."""

    name: str
    value: float
    unit: str
    allowed: str
    meaning: str


@dataclass(frozen=True)
class CellView:
    """One cell.

    Attributes:
        card: as in the list. parameters: its numbers. validity: in which ranges they hold.
        defaults: the parameters that its file leaves to the default cell.
        fit: what ``vcm-sweep device fit --json`` has printed; empty for a cell that was not fitted here.
        files: what can be downloaded.
    """

    card: CellCard
    parameters: list[CellValue] = field(default_factory=list)
    validity: dict[str, tuple[float, float]] = field(default_factory=dict)
    defaults: list[str] = field(default_factory=list)
    fit: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class Shelf:
    """The cells of a service, read from their folders each time.

    Args:
        settings: of the service. processes: by which a fit is known to be under way.
    """

    def __init__(self, settings: ServiceSettings, processes: Processes) -> None:
        self._settings, self._processes = settings, processes

    def cells(self) -> list[CellCard]:
        """The fitted cells, the latest first, and then those of the library."""
        fitted = sorted((self.card(name) for name in self._fitted()), key=lambda card: (-card.changed, card.name))
        return [*fitted, *(self.card(name) for name in cell_names())]

    def fits_under_way(self) -> int:
        """How many fits run."""
        return sum(self._processes.live(self.lock(name)) for name in self._fitted())

    def card(self, name: str) -> CellCard:
        """The line of one cell; NotFoundError where there is none."""
        if name in cell_names():
            return CellCard(name, library_cell(name).source, named=name)
        folder = self.folder(name)
        changed = folder.stat().st_mtime
        if self._processes.live(self.lock(name)):
            return CellCard(name, "being fitted", "fitting", changed=changed)
        file = self._file_of(folder)
        if file is None:
            reason = last_line(self._printed(folder)) or "the fit ended before it said anything"
            return CellCard(name, "no fit", "failed", reason, changed=changed)
        named = str(file.relative_to(self._settings.library))
        try:
            source = self._read(file).source
        except DeviceError as error:
            return CellCard(name, "", "unreadable", str(error), changed=changed)
        state = "believable" if file.name == CELL else "doubtful"
        return CellCard(name, source, state, named=named, changed=changed)

    def cell(self, name: str) -> CellView:
        """One cell with all that is known of it; NotFoundError where there is none."""
        card = self.card(name)
        files, fit = [], {}
        if card.state != "library":
            folder = self.folder(name)
            files = [own for own in self._given(name) if (folder / own).is_file() and not (folder / own).is_symlink()]
            fit = _said(self._printed(folder)) if card.named else {}
        try:
            cell = self._cell_of(card)
        except DeviceError:  # of a file that was changed between two looks
            cell = None
        if cell is None:
            return CellView(card, fit=fit, files=files)
        values = [
            CellValue(
                key, float(getattr(cell.parameters, key)), CellParameters.unit(key), CellParameters.allowed(key),
                CellParameters.meaning(key),
            )
            for key in CellParameters.names()
        ]  # fmt: skip
        return CellView(card, values, dict(cell.validity), list(cell.defaults), fit, files)

    def parameters(self, name: str) -> CellParameters:
        """The numbers of a cell; NotFoundError where it has none (yet), DeviceError for a torn file."""
        cell = self._cell_of(self.card(name))
        if cell is None:
            raise NotFoundError(f"{name} has no numbers: its fit is under way, or has failed")
        return cell.parameters

    def file(self, name: str, file: str) -> BinaryIO:
        """One of the files of a fitted cell, open; NotFoundError for what is none of them."""
        if name not in cell_names() and file in self._given(name):
            with suppress(OSError, StoreError):
                return Folder(self.folder(name), links=False).stream(file)
        raise NotFoundError(f"the cell {name[:80]!r} has no file {file[:80]!r}: its page lists what it has")

    def remove(self, name: str) -> None:
        """Take a fitted cell away; studies have its numbers and stay.

        Raises:
            NotFoundError: no such cell. ServiceError: it is of the library. ConflictError: its fit is under way.
        """
        if name in cell_names():
            raise ServiceError(f"{name} is a cell of the library, which stays")
        folder = self.folder(name)
        with self._processes.claimed(self.lock(name), f"{name}: its fit is under way: wait for its end"):
            shutil.rmtree(folder)

    def folder(self, name: str) -> Path:
        """The folder of a fitted cell; NotFoundError where there is none."""
        path = self._settings.cells / name if _NAME.fullmatch(name) else None
        if path is None or path.is_symlink() or not path.is_dir():
            raise NotFoundError(f"there is no cell {json.dumps(name[:80])} here: the list has all")
        return path

    def new_folder(self, name: str) -> Path:
        """A folder for a new cell; ServiceError for a name that is none, ConflictError for one that is taken."""
        if not _NAME.fullmatch(name):
            raise ServiceError(f"name = {name[:80]!r} must be letters, digits, '-', '_' and '.', at most 60")
        path = self._settings.cells / name
        try:
            if name not in cell_names():
                path.mkdir()
                return path
        except FileExistsError:
            pass
        raise ConflictError(f"there is a cell {name} already: choose another name, or remove that one")

    def lock(self, name: str) -> Path:
        """The file whose lock the fit of a cell holds; no study has such a name."""
        return self._settings.runs / f"~cell~{name}.lock"

    def _fitted(self) -> list[str]:
        with os.scandir(self._settings.cells) as entries:
            # No link is followed, since it may lead anywhere.
            return [own.name for own in entries if own.is_dir(follow_symlinks=False) and _NAME.fullmatch(own.name)]

    def _given(self, name: str) -> tuple[str, ...]:
        """The files of a fitted cell that are given out."""
        return (CELL, DOUBTFUL, "fit.png", "fit.svg", f"{name}.csv")

    def _cell_of(self, card: CellCard) -> LibraryCell | None:
        if card.state == "library":
            return library_cell(card.name)
        return self._read(self._settings.library / card.named) if card.named else None

    def _read(self, file: Path) -> LibraryCell:
        """A cell's file; errors name it as a study does, without where the service has it."""
        try:
            return library_cell(file)
        except DeviceError as error:
            raise DeviceError(str(error).replace(f"{self._settings.library}/", "")) from None

    def _file_of(self, folder: Path) -> Path | None:
        files = (folder / name for name in (CELL, DOUBTFUL))
        return next((file for file in files if file.is_file() and not file.is_symlink()), None)

    def _printed(self, folder: Path) -> str:
        try:
            return (folder / PRINTED).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _said(printed: str) -> dict[str, Any]:
    """The JSON at the end of what a fit has printed; {} where there is none."""
    lines = printed.strip().splitlines()
    try:
        plain = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}
