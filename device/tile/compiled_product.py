"""The analog matrix-vector product on a CPU: compiled loops around products of matrices."""

from typing import Any

import numpy as np
import torch

from vcm_sweep.device.kernels.cpu.converters import apply, begin, read
from vcm_sweep.device.kernels.layout import Pass
from vcm_sweep.device.tile.analog_product import weight_variance
from vcm_sweep.device.tile.io_numbers import IoNumbers


def new_suspects(trials: int) -> "np.ndarray[Any, Any]":
    """The outputs of each trial that were beyond their bound lately, (trials, 8) int64: none (-1) so far.

    They are asked before a whole product is computed, which only saves time. But BLAS may sum in another order if fewer
    vectors are left, so whoever wants the same last bits again must give the same suspects.
    """
    return np.full((trials, 8), -1)


class CompiledProduct:
    """The noisy product of every vector with its trial's weights; keeps its work space for the next."""

    def __init__(self) -> None:
        self._voltages = self._products = self._variances = torch.empty(0, 0, 0)

    def __call__(
        self,
        weight: torch.Tensor,
        x: torch.Tensor,
        io: IoNumbers,
        keys: "np.ndarray[Any, Any]",
        suspects: "np.ndarray[Any, Any]",
        weight_sd: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The outputs, (trials, batch, out) float32; a trial's do not depend, bit by bit, on the other trials.

        Args:
            weight: (trials, out, in) float32; pass a transposed view for the backward direction.
            x: (trials, batch, in) float32.
            io: settings of all trials or of each.
            keys: (trials,) uint64, keys of the random streams of this pass.
            suspects: see :func:`new_suspects`; brought up to date.
            weight_sd: (trials, out, in) float32, standard deviation of the read noise of every weight, or None.
        """
        (trials, batch, inputs), outputs = x.shape, weight.shape[1]
        converters = io.of_all(trials)
        variance = weight_variance(weight, weight_sd, io)
        self._make_room(trials, batch * (2 if converters[0]["separate"] else 1), inputs, outputs, variance is not None)
        vectors = _new_pass(converters, keys, suspects, batch)
        noise = np.empty(max(inputs, outputs) + 1, np.float32)
        given, out = x.contiguous().numpy(), torch.empty(trials, batch, outputs)
        # Asked for single outputs, whose weights must then be contiguous.
        none = torch.empty(trials, 0, 0)
        asked = (weight, none if variance is None else variance) if converters[0]["bounded"] else (none, none)
        begin(given, vectors, out.numpy())
        waiting, first = True, True
        while waiting:
            apply(given, vectors, *(part.numpy() for part in asked), noise, self._voltages.numpy())
            self._multiply(weight, variance, None if first else vectors.counts * (self._voltages.shape[1] // batch))
            read_by = self._voltages.numpy(), self._variances.numpy(), noise, self._products.numpy()
            waiting, first = read(given, vectors, *read_by, out.numpy()) > 0, False
        return out

    def _make_room(self, trials: int, lines: int, inputs: int, outputs: int, noisy: bool) -> None:
        if self._voltages.shape != (trials, lines, inputs) or noisy != (self._variances.numel() > 0):
            self._voltages = torch.zeros(trials, lines, inputs)
            self._products = torch.empty(trials, lines, outputs)
            self._variances = torch.empty(trials, lines, outputs if noisy else 0)

    def _multiply(
        self, weight: torch.Tensor, variance: torch.Tensor | None, lines: "np.ndarray[Any, Any] | None"
    ) -> None:
        """The products of all voltages, or of the first ``lines`` of each trial.

        BLAS may sum in another order if a matrix has more rows: so a trial's products have the same sizes in every
        stack, where all vectors are read as well as where a few are read again.
        """
        if lines is None:
            torch.bmm(self._voltages, weight.transpose(1, 2), out=self._products)
            if variance is not None:
                torch.bmm(self._voltages.square(), variance.transpose(1, 2), out=self._variances)
            return
        for k in np.flatnonzero(lines).tolist():
            some = self._voltages[k, : lines[k]]
            torch.mm(some, weight[k].T, out=self._products[k, : lines[k]])
            if variance is not None:
                torch.mm(some.square(), variance[k].T, out=self._variances[k, : lines[k]])


def _new_pass(
    converters: "np.ndarray[Any, Any]", keys: "np.ndarray[Any, Any]", suspects: "np.ndarray[Any, Any]", batch: int
) -> Pass:
    trials = len(converters)
    scale, grown = np.empty((2, trials, batch), np.float32)
    rounds, waiting = np.empty((2, trials, batch), np.int64)
    return Pass(converters, keys, scale, grown, rounds, waiting, np.empty(trials, np.int64), suspects)
