"""aihwkit's IOParameters of stacked trials as the numbers that the analog product uses."""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

from vcm_sweep.device.kernels.layout import (
    CONSTANT_SCALE,
    CONVERTER_NUMBERS,
    CONVERTERS,
    LARGEST_MAGNITUDE,
    LARGEST_SUM,
    LARGEST_VALUE,
    NO_SCALE,
)

# The engine's nm_assumed_wmax, which aihwkit's Python parameters cannot set.
_ASSUMED_W_MAX = 0.6

_MANAGEMENT: Mapping[NoiseManagementType, int] = {
    NoiseManagementType.NONE: NO_SCALE,
    NoiseManagementType.CONSTANT: CONSTANT_SCALE,
    NoiseManagementType.ABS_MAX: LARGEST_MAGNITUDE,
    NoiseManagementType.MAX: LARGEST_VALUE,
    NoiseManagementType.ABS_MAX_NP_SUM: LARGEST_SUM,
}

Number: TypeAlias = float | torch.Tensor
"""One number for all trials, or a tensor (trials, 1, 1)."""

_NO_LIMIT = 1e30  # stands for no limit, and is not infinite, since it multiplies zeros


class IoNumbers:
    """The settings of one direction, of all trials or of each; numbers may differ between trials, words may not.

    Attributes:
        converters: (1,) or (K,) CONVERTERS of kernels/layout.py.

    Example:
        >>> numbers = IoNumbers([IOParameters(out_noise=0.0), IOParameters(out_noise=0.1)])
        >>> numbers.on("cpu").out_noise.shape
        torch.Size([2, 1, 1])
        >>> numbers.on("cpu").out_bound
        12.0
    """

    def __init__(self, ios: Sequence[IOParameters], forward: bool = True) -> None:
        """``forward``: the direction that has bound management, as in aihwkit's compiled tile."""
        self.converters = np.zeros(len(ios), CONVERTERS)
        for k, io in enumerate(ios):
            for name, value in _numbers(io, forward).items():
                self.converters[name][k] = value
        self._on: tuple[torch.device | str, Any] = "", None
        self._of_all = self.converters
        self._table: torch.Tensor | None = None

    def on(self, device: torch.device | str) -> Any:
        """The fields of CONVERTERS by name: a Python number where all trials agree, else a tensor (K, 1, 1)."""
        if self._on[0] != device:
            columns = {name: self.converters[name] for name in CONVERTERS.fields or ()}
            self._on = device, SimpleNamespace(**{name: _shared(column, device) for name, column in columns.items()})
        return self._on[1]

    def table(self, device: torch.device | str, trials: int) -> torch.Tensor:
        """What a GPU's kernel needs of every trial, (K, CONVERTER_NUMBERS) float32."""
        if self._table is None or self._table.device != torch.device(device) or len(self._table) != trials:
            columns = [self.of_all(trials)[name].astype(np.float32) for name in CONVERTER_NUMBERS]
            self._table = torch.from_numpy(np.stack(columns, 1)).to(device, non_blocking=True)
        return self._table

    def of_all(self, trials: int) -> "np.ndarray[Any, Any]":
        """The converters of every trial, (K,)."""
        if len(self._of_all) != trials:
            self._of_all = np.broadcast_to(self.converters, trials).copy()
        return self._of_all


def is_on(number: Number) -> bool:
    """Whether the number differs from 0 in any trial."""
    return isinstance(number, torch.Tensor) or number != 0


def _shared(column: "np.ndarray[Any, Any]", device: torch.device | str) -> Any:
    """The one number of all trials, or a tensor (K, 1, 1) of each trial's."""
    if (column == column[0]).all():
        return column[0].item()
    return torch.from_numpy(column.astype(np.float32)).to(device)[:, None, None]


def _numbers(io: IOParameters, forward: bool) -> dict[str, Any]:
    """The fields of CONVERTERS; a perfect product is one whose converters are all off."""
    if io.is_perfect or io.mv_type == AnalogMVType.IDEAL:
        off = {"inp_bound": math.inf, "out_bound": math.inf, "inp_negative": 1.0, "out_negative": 1.0}
        return off | {"threshold": math.inf, "out_scale": io.out_scale}
    inp_step = _resolution(io.inp_res) * 2 * io.inp_bound
    by_resolution = io.max_bm_res / inp_step if inp_step > 0 else _NO_LIMIT
    additive, pcm = (io.w_noise_type == kind for kind in (WeightNoiseType.ADDITIVE_CONSTANT, WeightNoiseType.PCM_READ))
    return {
        "management": _MANAGEMENT[io.noise_management],
        "repeated": _second_management(io),
        "constant": io.nm_thres if io.nm_thres > 0 else 1.0,
        "threshold": io.nm_thres if io.nm_thres > 0 else math.inf,
        "of_sums": _ASSUMED_W_MAX / io.out_bound,
        "of_largest": by_resolution,
        "bounded": forward and io.bound_management != BoundManagementType.NONE,
        "both_bounds": io.bm_test_negative_bound,
        "most": min(io.max_bm_factor, by_resolution),
        # Input noise is added in the forward pass to a vector of zeros, too, as in the engine.
        "zeros": not (forward and io.inp_noise > 0),
        "separate": io.mv_type == AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM,
        "inp_step": inp_step,
        "inp_bound": io.inp_bound,
        "inp_by_chance": io.inp_sto_round,
        "inp_noise": max(io.inp_noise, 0.0),
        "inp_negative": 1 - io.inp_asymmetry,
        "w_noise": max(io.w_noise, 0.0) * additive,
        "pcm_noise": max(io.w_noise, 0.0) * pcm,
        "out_negative": 1 - max(io.out_asymmetry, 0.0),
        "out_noise": io.out_noise,
        # In single precision, as in the engine. That matters: with the default of 510 steps over +-12 the largest code
        # is 12.000001, and a reading there counts as an overflow.
        "out_step": np.float32(_resolution(io.out_res)) * np.float32(2 * io.out_bound),
        "out_by_chance": io.out_sto_round,
        "out_bound": io.out_bound,
        "out_scale": io.out_scale,
    }


def _resolution(value: float) -> float:
    """The step of a converter relative to its range. aihwkit gives it as a step up to 1, as a number of steps above 1;
    0 or less switches the converter off."""
    if value <= 0:
        return 0.0
    return 1 / value if value > 1 else value


def _second_management(io: IOParameters) -> int:
    """The noise management of the second round under ITERATIVE_WORST_CASE; -1 if the scale doubles from the start.

    Without noise management the engine has no other scale, so its second round repeats the first.
    """
    if io.bound_management != BoundManagementType.ITERATIVE_WORST_CASE:
        return -1
    if io.noise_management == NoiseManagementType.ABS_MAX_NP_SUM:
        return -1
    return NO_SCALE if io.noise_management == NoiseManagementType.NONE else LARGEST_SUM
