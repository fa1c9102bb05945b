"""Pictures of cells, by ``vcm-sweep device plot``'s hand: each takes seconds, so they are made one after the other."""

import tempfile
from pathlib import Path

from vcm_sweep.cluster.service.aside import aside
from vcm_sweep.cluster.service.cells.shelf import Shelf
from vcm_sweep.cluster.service.problems import BusyError, NotFoundError
from vcm_sweep.cluster.service.studies.in_turn import InTurn
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.device.physics.parameters import CellParameters

SHOWN = {
    "iv": "the hysteresis of current over voltage, explicit and full model",
    "pulses": "the read current over pulses of SET and then RESET, with the spread of an array",
}
"""The pictures that a page shows, in words."""

KINDS = (*SHOWN, "switching", "maps", "mismatch")


class Portraits:
    """Draws cells, one picture at a time.

    Args:
        shelf: of the cells.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._in_turn = InTurn()

    def picture(self, name: str, kind: str, wait_s: float = 3.0) -> bytes:
        """A picture of a cell as PNG.

        Raises:
            NotFoundError: no such cell or kind. DeviceError: a cell that cannot be drawn so. BusyError: it is being
            made, and whoever asks again finds it.
        """
        if kind not in KINDS:
            raise NotFoundError(f"there is no picture {kind[:80]!r}: one of {', '.join(KINDS)}")
        cell = self._shelf.parameters(name)

        return self._in_turn((name, kind), repr(cell), lambda: aside(_drawn, kind, cell), wait_s)

    def of(self, name: str) -> tuple[dict[str, str], bool]:
        """(why a picture that a page shows cannot be drawn, or "" for one that is there; whether more are coming)."""
        found, coming = {}, False
        for kind in SHOWN:
            try:
                self.picture(name, kind, wait_s=0.0)
                found[kind] = ""
            except BusyError:
                coming = True
            except VcmSweepError as error:
                found[kind] = str(error)
        return found, coming


def _drawn(kind: str, cell: CellParameters) -> bytes:
    from vcm_sweep.device.pictures.pictures import draw, save_picture

    with tempfile.TemporaryDirectory(prefix="vcm-sweep-cell-") as scratch:
        return Path(save_picture(draw(kind, cell), scratch, kind)[0]).read_bytes()
