"""The table [device.intervention]: the kind of intervention and its nominal device; without it there is none."""

from collections.abc import Callable
from typing import Any, TypeAlias

from vcm_sweep.device.declared import declared
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.vcm_device import Intervention, VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.variability import MECHANISMS

_Table: TypeAlias = dict[str, Any]

# Sub-tables of [device] that are not about the cells: how inputs and errors become pulses belongs to the layer.
_LAYER = ("io", "update", "mapping", "intervention")


def nominal_table(device: _Table) -> _Table:
    """The part of a canonical [device] table that describes cells, as it is for ``nominal`` of an intervention.

    >>> nominal_table({"model": "full", "io": {}, "update": {}, "d2d": {}})
    {'model': 'full', 'd2d': {}}
    """
    return {key: value for key, value in device.items() if key not in _LAYER}


def canonical_intervention(table: _Table, device: _Table, canonical: Callable[[_Table], _Table]) -> _Table:
    """The table with its nominal device written out.

    Args:
        table: ``kind``, and ``nominal``: the fields in which the nominal device differs from the study's device
            without variability and without the action of factors.
        device: the other fields of the [device] table, canonical.
        canonical: the function that makes a [device] table canonical.

    Raises:
        StudyError: an unknown kind or key, or a nominal device that is not valid.
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
    """The intervention of a canonical table; DeviceError if it is not valid. ``build`` makes a device from a table."""
    nominal = nominal_table(plain["nominal"]) if "nominal" in plain else None
    try:
        return Intervention(plain["kind"], build(nominal) if nominal is not None else None)
    except DeviceError as error:
        raise DeviceError(f"intervention: {error}") from None
