"""The parameters that a device's tables have an axis for, and which devices have no tables."""

from vcm_sweep.device.kernels.layout import MAX_AXES
from vcm_sweep.device.vcm_device import VCMDevice

AMPLITUDE = "amplitude"  # the name of the axis for a pulse's own voltage, a factor on the nominal one


def analytic(model: str) -> tuple[str, ...]:
    """Parameters that need no axis, since they only multiply the rate or only act through the bound factor."""
    return ("N_max", "N_min", "nu_0", "l") if model == "explicit" else ("N_max", "N_min", "nu_0")


def axis_names(device: VCMDevice) -> tuple[str, ...]:
    """The axes that the tables of an array need besides N, in CellParameters' order, the pulse's amplitude last."""
    varying = device.variability.varying(device.parameters)
    names = tuple(name for name in varying if name not in analytic(device.model))
    return (*names, AMPLITUDE) if device.variability.pulse.amplitude > 0 else names


def is_direct(device: VCMDevice, beside: bool = False) -> bool:
    """Whether a CPU solves the cell's equations for each pulse: the user asks for it, or it is faster than tables.

    It is, in lanes (kernels/cpu/lanes/), as soon as tables have an axis besides N. Cells that are followed one by one
    are faster by tables, as long as these can hold what varies: those whose r or l moves within a pulse, and those with
    a partner, ``beside``.
    """
    axes = len(axis_names(device))
    if device.method != "tabulated" or axes > MAX_AXES:
        return True
    one_by_one = beside or any(target.active for target in device.variability.targets.values())
    return axes > 0 and not one_by_one
