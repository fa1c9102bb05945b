"""The table [device.intervention]: which cells act, and what they take of the others; absent by default."""

from collections.abc import Callable
from typing import Any

from vcm_sweep.device.declared import declared
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.vcm_device import Intervention, VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.variability import MECHANISMS

type _Table = dict[str, Any]

# How inputs and errors become pulses is the layer's affair, not the cell's.
_LAYER = ("io", "update", "mapping", "intervention")


def nominal_table(device: _Table) -> _Table:
    """The cells of a canonical [device] table, as ``nominal`` of an intervention wants them.

    >>> nominal_table({"model": "full", "io": {}, "update": {}, "d2d": {}})
    {'model': 'full', 'd2d': {}}
    """
    return {key: value for key, value in device.items() if key not in _LAYER}


def canonical_intervention(table: _Table, device: _Table, canonical: Callable[[_Table], _Table]) -> _Table:
    """The table with its nominal device written out.

    Args:
        table: ``kind``, and ``nominal``: what the nominal device has otherwise than the study's, which is without any
            variability there, and before its factors.
        device: the other fields of the [device] table, canonical.
        canonical: makes such a table canonical.

    Raises:
        StudyError: an unknown kind or key, or a nominal device that cannot be.
    """
    fields = Fields(table, "device.intervention")
    plain: _Table = fields.all(declared(Intervention))
    given = fields.table("nominal")
    fields.finish()
    for key in given:
        if key == "aihwkit" or (key in _LAYER and given[key] != device.get(key)):
            raise StudyError(f"[device.intervention.nominal] {key} holds for the whole layer: leave it out")
    own = {key: value for key, value in nominal_table(device).items() if key not in MECHANISMS}
    try:
        plain["nominal"] = nominal_table(canonical(own | nominal_table(given)))
    except StudyError as error:
        raise StudyError(f"intervention.nominal: {error}") from None
    return plain


def build_intervention(plain: _Table, build: Callable[[_Table], VCMDevice]) -> Intervention:
    """The intervention of a canonical table; DeviceError if it cannot be. ``build`` makes a device of a table."""
    nominal = nominal_table(plain["nominal"]) if "nominal" in plain else None
    try:
        return Intervention(plain["kind"], build(nominal) if nominal is not None else None)
    except DeviceError as error:
        raise DeviceError(f"intervention: {error}") from None
