"""Which devices' pulses a GPU can compute."""

from typing import NamedTuple

from vcm_sweep.device.array.kernel_inputs import kernel_pulses
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.layout import MAX_AXES
from vcm_sweep.device.tables.axes import axis_names
from vcm_sweep.device.vcm_device import VCMDevice


class Obstacle(NamedTuple):
    """What of a device the GPU kernels cannot compute, and what to do instead, in words."""

    what: str
    fix: str


def gpu_obstacle(device: VCMDevice) -> Obstacle | None:
    """What keeps a GPU from pulsing a device's cells; None if nothing does.

    >>> gpu_obstacle(VCMDevice(method="direct")).fix
    "set method = 'tabulated'"
    """
    pulses = kernel_pulses(device)
    if device.intervention is not None:
        return Obstacle("an intervention", "leave it out")
    if device.method != "tabulated":
        return Obstacle(f"method = {device.method!r}", "set method = 'tabulated'")
    if len(names := axis_names(device)) > MAX_AXES:
        return Obstacle(f"more than {MAX_AXES} parameters that differ: {', '.join(names)}", "let fewer differ")
    if pulses.moves:
        return Obstacle("targets of r and l", "use c2c walks")
    if device.variability.pulse.active:
        return Obstacle("errors of single pulses", "leave them out")
    if pulses.own_window:
        return Obstacle("r or l that walk under a window of the cell's own reading", "set read_path = 'nominal'")
    return None


def check_gpu(device: VCMDevice) -> None:
    """Raise DeviceError if the GPU kernels cannot compute a device's pulses. They read rates from tables only.

    Raises:
        DeviceError: the device has an intervention, solves its equations, has targets or errors of single pulses, or
            has a walk of r or l that moves the N at which a cell's own reading reaches the end of its window.

    Example:
        >>> check_gpu(VCMDevice(model="full"))
    """
    if found := gpu_obstacle(device):
        raise DeviceError(
            f"a GPU cannot pulse cells with {found.what}: {found.fix}, or run on a CPU (leave --device cuda out)"
        )
