"""A device whose tables go on where its window ends: a step from there, of an intervention, has a length too."""

import dataclasses
import math

from vcm_sweep.device.vcm_device import VCMDevice

_MARGIN = 0.5  # of ln N


class _Beyond(VCMDevice):
    @property
    def log_n_range(self) -> tuple[float, float]:
        """That of the device, and a margin on either side."""
        low, high = super().log_n_range
        least, _ = self.variability.limits("N_min", self.parameters)
        _, most = self.variability.limits("N_max", self.parameters)
        return max(low - _MARGIN, math.log(least)), min(high + _MARGIN, math.log(most))


def beyond_window(device: VCMDevice) -> VCMDevice:
    """The same device with wider tables.

    >>> device = VCMDevice()
    >>> [round(b - a, 9) for a, b in zip(device.log_n_range, beyond_window(device).log_n_range)]
    [-0.5, 0.5]
    """
    return _Beyond(**{spec.name: getattr(device, spec.name) for spec in dataclasses.fields(device)})
