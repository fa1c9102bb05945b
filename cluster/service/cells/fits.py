"""Fits of cells to measured files, by ``vcm-sweep device fit`` in processes that the service's end does not end."""

import shutil
import threading
from dataclasses import dataclass

from vcm_sweep.cluster.service.cells.shelf import PRINTED, CellCard, Shelf
from vcm_sweep.cluster.service.problems import BusyError, ConflictError, ServiceError, TooLargeError
from vcm_sweep.cluster.service.processes import Processes
from vcm_sweep.cluster.service.settings import MAX_MEASURED, ServiceSettings
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.sweep.errors import StoreError

_MOST_AT_ONCE = 4


@dataclass(frozen=True)
class FitOptions:
    """What ``vcm-sweep device fit`` is asked for.

    Attributes:
        fit: parameters to fit, with commas between. cell: name of the cell from which it starts. model: of the current.
        ramp: V/s. columns: as ``voltage_v=Vds:mV,current_a=3:uA``. polarity: of SET in the file.
        magnitude: whether currents have no sign. compliance: A. read_voltage: V. n_start: 1e26/m3. floor: A.
    """

    fit: str
    cell: str = "default"
    model: str = "full"
    ramp: float | None = None
    columns: str = ""
    polarity: str = "set-negative"
    magnitude: bool = False
    compliance: float | None = None
    read_voltage: float | None = None
    n_start: float | None = None
    floor: float | None = None

    def words(self, named: str) -> list[str]:
        """The options as on a command line; named: the cell, as the command finds it."""
        given = {
            "fit": self.fit, "cell": named, "model": self.model, "ramp": self.ramp, "columns": self.columns or None,
            "polarity": self.polarity, "compliance": self.compliance, "read-voltage": self.read_voltage,
            "n-start": self.n_start, "floor": self.floor,
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return [*words, *(["--magnitude"] if self.magnitude else [])]


class Fits:
    """Starts fits, a few at a time.

    Args:
        settings: of the service. shelf: of its cells. processes: that it starts.
    """

    def __init__(self, settings: ServiceSettings, shelf: Shelf, processes: Processes) -> None:
        self._settings, self._shelf, self._processes = settings, shelf, processes
        self._mutex = threading.Lock()

    def start(self, name: str, data: bytes, options: FitOptions) -> CellCard:
        """Make the folder of a cell with a measured file, and fit it; what the fit says is on its card.

        Args:
            name: of the cell. data: content of the file. options: of the fit.

        Raises:
            ServiceError, ConflictError: a name that is none, or taken. TooLargeError: of the file. NotFoundError: there
            is no such cell to start from. DeviceError: no such parameter. BusyError: fits enough are under way.
        """
        if not data:
            raise ServiceError("the measured file is empty: choose a text file with a table")
        if len(data) > MAX_MEASURED:
            raise TooLargeError(
                f"the measured file has {len(data):,} bytes, and at most {MAX_MEASURED:,} are read: keep fewer rows"
            )
        asked = [word.strip() for word in options.fit.split(",") if word.strip()]
        for word in asked or [""]:
            if word not in CellParameters.names():
                raise DeviceError(f"fit = {word[:80]!r} must be some of {', '.join(CellParameters.names())}")
        if "\0" in options.columns:
            raise DeviceError("columns must be OURS=NAME or OURS=NAME:UNIT, separated by commas")
        named = self._shelf.card(options.cell).named
        if not named:
            raise DeviceError(f"cell = {options.cell!r} has no numbers to start from: its fit is under way, or failed")
        # Of several who ask at once each counts the fits of those before.
        with self._mutex:
            if self._shelf.fits_under_way() >= _MOST_AT_ONCE:
                raise BusyError(f"{_MOST_AT_ONCE} fits are under way: ask again when one has ended")
            self._begin(name, data, options.words(named))
        return self._shelf.card(name)

    def _begin(self, name: str, data: bytes, options: list[str]) -> None:
        folder = self._shelf.new_folder(name)
        here = f"{self._settings.cells.name}/{name}"
        words = ["device", "fit", f"{here}/{name}.csv", *options, f"--out={here}", "--json"]
        try:
            (folder / f"{name}.csv").write_bytes(data)
            with self._processes.claimed(self._shelf.lock(name), f"{name}: a fit is under way") as begin:
                begin(words, folder / PRINTED, self._settings.library, {})
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StoreError(f"{name}: no fit could be started ({error.strerror}): make room") from None

    def stop(self, name: str) -> CellCard:
        """End the fit of a cell, whose card says so then; NotFoundError: no such cell, ConflictError: no fit of it."""
        self._shelf.card(name)
        if not self._processes.end(self._shelf.lock(name)):
            raise ConflictError(f"{name}: no fit is under way")
        with open(self._shelf.folder(name) / PRINTED, "a", encoding="utf-8") as file:
            file.write("\nvcm-sweep: the fit was stopped\n")
        return self._shelf.card(name)
