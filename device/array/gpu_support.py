"""Which devices' pulses a GPU can compute."""

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.vcm_device import VCMDevice


def gpu_can_pulse(device: VCMDevice) -> bool:
    """Whether the GPU kernels compute a device's pulses: all but those of cells with a partner.

    >>> gpu_can_pulse(VCMDevice(model="full"))
    True
    """
    return device.intervention is None


def check_gpu(device: VCMDevice) -> None:
    """Raise DeviceError if the GPU kernels cannot compute a device's pulses.

    Raises:
        DeviceError: the device has an intervention.

    Example:
        >>> check_gpu(VCMDevice(model="full"))
    """
    if not gpu_can_pulse(device):
        raise DeviceError(
            "a GPU cannot pulse cells with an intervention: leave it out, or run on a CPU (leave --device cuda out)"
        )
