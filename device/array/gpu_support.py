"""Which devices' pulses a GPU can compute."""

from vcm_sweep.device.array.kernel_inputs import kernel_pulses
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.tables.axes import is_direct
from vcm_sweep.device.vcm_device import VCMDevice


def check_gpu(device: VCMDevice) -> None:
    """Nothing, for a device whose pulses the kernels of a GPU can compute; these read tables, and cells that move.

    Raises:
        DeviceError: what they cannot do: intervene, solve the equations, follow targets, draw errors of single pulses,
            or stop a cell where its own reading leaves the window while its radius or length changes.

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
