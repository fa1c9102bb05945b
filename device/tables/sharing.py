"""One set of tables for all arrays of equal devices."""

from vcm_sweep.device.tables.axes import AMPLITUDE, axis_names
from vcm_sweep.device.tables.building import build_tables
from vcm_sweep.device.tables.tables import RateTables
from vcm_sweep.device.vcm_device import VCMDevice

_SHARED: dict[tuple[object, ...], RateTables] = {}

# Every device with other ranges has tables of its own, and those over three parameters take 20 MB: the oldest ones are
# dropped above this size.
_MOST_SHARED_BYTES = 256e6


def shared_tables(device: VCMDevice) -> RateTables:
    """The tables of :func:`build_tables`, built once for all devices with equal physics and ranges."""
    variability, p = device.variability, device.parameters
    names = axis_names(device)
    key = (
        device.periphery, device.model, device.reads_cell, device.set_voltage_v, device.reset_voltage_v,
        device.log_n_range, variability.window.limits(device.periphery.w_min, device.periphery.w_max), names,
        tuple(variability.limits(name, p) for name in names if name != AMPLITUDE),
        variability.pulse.limits(AMPLITUDE), *(getattr(p, name) for name in p.names()),
    )  # fmt: skip
    if key not in _SHARED:
        made = build_tables(device)
        while _SHARED and sum(table.nbytes for table in _SHARED.values()) + made.nbytes > _MOST_SHARED_BYTES:
            del _SHARED[next(iter(_SHARED))]
        _SHARED[key] = made
    return _SHARED[key]
