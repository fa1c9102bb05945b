"""The analog matrix-vector product on a GPU: one kernel reads all vectors of all stacked trials."""

from typing import NamedTuple

import torch

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.kernels.gpu.reads.product import read_arrays
from vcm_sweep.device.kernels.gpu.triton_or_none import PRESENT as PRESENT
from vcm_sweep.device.tile.io_numbers import IoNumbers, is_on

# Vectors that a program reads together, in so many rounds of bound management at a time; the outputs and inputs whose
# weights it has at hand; outputs that it reads at once. Single precision is made of three products of TF32.
VECTORS, ROUNDS, OUTPUTS, INPUTS, READ_AT_ONCE, PRECISION = 32, 4, 64, 32, 16, "tf32x3"
# More programs than there are at any time need more memory for their readings, and save none.
PROGRAMS = 1024


class CellNoise(NamedTuple):
    """The cells' read noise: its standard deviation is sigma * (weight - dark)."""

    numbers: torch.Tensor  # (K, 2) float32: sigma and dark
    weight: torch.Tensor | None = None  # (K, out, in) float32, if it is of other weights than are read now


def gpu_product(
    weight: torch.Tensor, x: torch.Tensor, io: IoNumbers, keys: torch.Tensor, call: Count,
    noise: CellNoise | None = None,
) -> torch.Tensor:  # fmt: skip
    """The noisy product of every vector with its trial's weights, (trials, batch, out) float32.

    A trial's outputs do not depend, bit by bit, on the other trials; its noise is that of a CPU. The host waits for
    nothing.

    Args:
        weight: (trials, out, in) float32; pass a transposed view for the backward direction.
        x: (trials, batch, in) float32.
        io: settings of all trials or of each.
        keys: (trials,) uint64, keys of the random streams of this direction.
        call: number of this pass.
        noise: of the cells, or None.
    """
    x = x.contiguous()
    (trials, batch, inputs), outputs = x.shape, weight.shape[1]
    out = torch.empty(trials, batch, outputs, dtype=torch.float32, device=x.device)
    if not out.numel():
        return out
    number = io.on(x.device)
    parts = 2 if number.separate else 1
    rounds = ROUNDS // parts if number.bounded else 1
    programs = min(trials * -(-batch // VECTORS), PROGRAMS)
    readings = torch.empty(programs, parts * rounds * VECTORS, outputs, dtype=torch.float32, device=x.device)
    varied = noise is not None or is_on(number.pcm_noise)
    variances = torch.empty_like(readings) if varied else readings
    # Whatever stands where nothing is, is not looked at.
    plain = weight if noise is None or noise.weight is None else noise.weight
    read_arrays[(programs,)](
        x, weight, plain, x if noise is None else noise.numbers, keys, call.on(x.device), io.table(x.device, trials),
        readings, variances, out, trials, batch, inputs, outputs, weight.stride(1), weight.stride(2),
        number.management, number.repeated, number.bounded, number.both_bounds, number.separate,
        number.inp_by_chance, number.out_by_chance, is_on(number.inp_noise), is_on(number.w_noise),
        is_on(number.pcm_noise), noise is not None, plain is not weight, PRECISION,
        VECTORS, rounds, OUTPUTS, INPUTS, READ_AT_ONCE, num_warps=8, enable_fp_fusion=False,
    )  # fmt: skip
    return out
