"""Slow read noise, which is constant within a batch: telegraph and 1/f noise, advanced once per forward pass."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vcm_sweep.device.seeds import stream_key

if TYPE_CHECKING:
    from vcm_sweep.device.array.cell_arrays import CellArrays

_TELEGRAPH, _FLICKER = 0, 1


def advance(arrays: "CellArrays", keys: Sequence[int]) -> None:
    """Advance the traps and 1/f processes of every trial by one batch; ``keys`` has one random key per trial."""
    for k, (device, key) in enumerate(zip(arrays.devices, keys, strict=True)):
        variability = device.variability
        if variability.telegraph.active:
            variability.telegraph.step(arrays.telegraph[k], _generator(arrays, key, _TELEGRAPH))
        if variability.read_noise.flicker > 0:
            state = arrays.flicker[k, : variability.read_noise.decades]
            variability.read_noise.step(state, _generator(arrays, key, _FLICKER))


def _generator(arrays: "CellArrays", key: int, kind: int) -> torch.Generator:
    return torch.Generator(arrays.log_n.device).manual_seed(stream_key(key, kind))


def read_weight(arrays: "CellArrays") -> torch.Tensor:
    """The weights as they read now, with telegraph and 1/f noise if the trial has any: (K, out, in) float32.

    The noise is relative to a cell's read current, so it multiplies the weight's distance from that of zero current.
    """
    weight = arrays.weight
    if not arrays.slow:
        return weight
    read = weight.clone()
    for k, device in enumerate(arrays.devices):
        variability, dark = device.variability, device.map.line[0]
        current = (weight[k] - dark).reshape(-1)
        deviation = torch.zeros_like(current)
        if variability.telegraph.active:
            deviation += variability.telegraph.relative(arrays.telegraph[k], current / (device.periphery.w_max - dark))
        if variability.read_noise.flicker > 0:
            state = arrays.flicker[k, : variability.read_noise.decades]
            deviation += variability.read_noise.relative(state)
        read[k] += (current * deviation).view_as(weight[k])
    return read
