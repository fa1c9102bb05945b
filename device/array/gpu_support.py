"""Which devices' pulses a GPU can compute."""

from vcm_sweep.device.array.kernel_inputs import kernel_pulses
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.tables.axes import is_direct
from vcm_sweep.device.vcm_device import VCMDevice


def check_gpu(device: VCMDevice) -> None:
    """Raise DeviceError if the GPU kernels cannot compute a device's pulses. They read rates from tables only.

    Raises:
        DeviceError: the device has an intervention, solves its equations, has targets or errors of single pulses, or
            has a walk of r or l that moves the N at which a cell's own reading reaches the end of its window.

    Example:
        >>> check_gpu(VCMDevice(model="full"))
    """
    pulses = kernel_pulses(device)
    cpu = "or run on a CPU (leave --device cuda out)"
    if device.intervention is not None:
        what, fix = "an intervention", "leave it out"
    elif is_direct(device):
        what, fix = "method = 'direct', or more than three parameters that differ", "use tables, let fewer differ"
    elif pulses.moves:
        what, fix = "targets of r and l", "use c2c walks"
    elif device.variability.pulse.active:
        what, fix = "errors of single pulses", "set the pulse error to 0"
    elif pulses.own_window:
        what, fix = "r or l that walk under a window of the cell's own reading", "set read_path = 'nominal'"
    else:
        return
    raise DeviceError(f"a GPU cannot pulse cells with {what}: {fix}, {cpu}")
