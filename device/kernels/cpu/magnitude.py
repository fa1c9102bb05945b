"""The largest magnitude of a vector, compiled: by its bits, which order as magnitudes do, many at a time."""

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import kernel

_WITHOUT_SIGN = np.int32(0x7FFFFFFF)


@kernel
def largest_magnitude(values):
    """The largest magnitude of float32 values; NaN if one is NaN."""
    largest = np.int32(0)
    for i in range(values.shape[0]):
        largest = max(largest, np.int32(np.float32(values[i]).view(np.int32) & _WITHOUT_SIGN))
    return np.int32(largest).view(np.float32)
