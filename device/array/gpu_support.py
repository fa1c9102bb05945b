"""Which devices' pulses a GPU can compute."""

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.vcm_device import VCMDevice


def check_gpu(device: VCMDevice) -> None:
    """Raise DeviceError if the GPU kernels cannot compute a device's pulses: they know no partners of cells.

    Raises:
        DeviceError: the device has an intervention.

    Example:
        >>> check_gpu(VCMDevice(model="full"))
    """
    if device.intervention is not None:
        raise DeviceError(
            "a GPU cannot pulse cells with an intervention: leave it out, or run on a CPU (leave --device cuda out)"
        )
