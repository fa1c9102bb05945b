"""Noise of reading that lasts longer than a vector: telegraph and 1/f noise, advanced once per forward pass."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vcm_sweep.device.seeds import stream_key

if TYPE_CHECKING:
    from vcm_sweep.device.array.cell_arrays import CellArrays

_TELEGRAPH, _FLICKER = 0, 1


def advance(arrays: "CellArrays", keys: Sequence[int]) -> None:
    """Move the traps and 1/f processes of every trial on by one batch; one key per trial and batch."""
    for k, (device, key) in enumerate(zip(arrays.devices, keys, strict=True)):
        variability = device.variability
        if variability.telegraph.active:
            variability.telegraph.step(arrays.telegraph[k], _generator(arrays, key, _TELEGRAPH))
        if variability.read_noise.flicker > 0:
            state = arrays.flicker[k, : variability.read_noise.decades]
            variability.read_noise.step(state, _generator(arrays, key, _FLICKER))


def _generator(arrays: "CellArrays", key: int, kind: int) -> torch.Generator:
    return torch.Generator(arrays.log_n.device).manual_seed(stream_key(key, kind))


def is_slow(arrays: "CellArrays") -> bool:
    """Whether any trial's reads have such noise."""
    return any(d.variability.telegraph.active or d.variability.read_noise.flicker > 0 for d in arrays.devices)


def read_weight(arrays: "CellArrays") -> torch.Tensor:
    """(K, out, in) float32: the weights as they read now, traps and 1/f noise included; the cells' own without.

    Both are parts of a cell's read current, so they act on its weight above that of no current.
    """
    weight = arrays.weight
    if not is_slow(arrays):
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
