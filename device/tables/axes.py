"""Over which parameters a device's tables reach, and which devices have none."""

from vcm_sweep.device.kernels.layout import MAX_AXES as MAX_AXES
from vcm_sweep.device.vcm_device import VCMDevice

AMPLITUDE = "amplitude"  # the axis of a pulse's own voltage, as a factor on the nominal one


def analytic(model: str) -> tuple[str, ...]:
    """Parameters that need no axis: they multiply the rate, or act through the bound factor alone."""
    return ("N_max", "N_min", "nu_0", "l") if model == "explicit" else ("N_max", "N_min", "nu_0")


def axis_names(device: VCMDevice) -> tuple[str, ...]:
    """What the tables of an array need an axis for, in CellParameters' order, the pulse's amplitude last."""
    varying = device.variability.varying(device.parameters)
    names = tuple(name for name in varying if name not in analytic(device.model))
    return (*names, AMPLITUDE) if device.variability.pulse.amplitude > 0 else names


def is_direct(device: VCMDevice) -> bool:
    """Whether pulses solve the cell's equations, because it is asked for or more varies than tables have axes for."""
    return device.method == "direct" or len(axis_names(device)) > MAX_AXES
