"""A device whose tables reach beyond its window, for interventions, which need rates there.

A cell stops at the end of its window. An intervention compares the steps of the acting cell and of its partner as if
no window stopped them, and a step that starts near the end of the window leads beyond it.
"""

import dataclasses
import math

from vcm_sweep.device.vcm_device import VCMDevice

_MARGIN = 0.5  # ln N by which the tables reach beyond the window on either side


class _Beyond(VCMDevice):
    @property
    def log_n_range(self) -> tuple[float, float]:
        """The range of the device, with a margin on either side but within N_min and N_max."""
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
