"""``VCMSimulatorTile``: forward, backward and update of arrays of VCM cells, as aihwkit's custom tiles call them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from aihwkit.exceptions import AnalogBiasConfigError, TileError
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.tiles.base import SimulatorTile
from torch import Tensor

from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.sent_numbers import SentNumbers
from vcm_sweep.device.array.slow_noise import advance, read_weight
from vcm_sweep.device.doing import Doing
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.public import public
from vcm_sweep.device.seeds import ArraySeeds, key_of_more, stream_key
from vcm_sweep.device.tile.analog_product import analog_product
from vcm_sweep.device.tile.compiled_product import CompiledProduct, new_suspects
from vcm_sweep.device.tile.io_numbers import IoNumbers
from vcm_sweep.device.tile.settings import VCMSettings
from vcm_sweep.device.variability import ReadNoise
from vcm_sweep.device.vcm_device import VCMDevice

_FORWARD, _BACKWARD, _PULSES, _SLOW = 0, 1, 2, 3


@public
class VCMSimulatorTile(SimulatorTile, torch.nn.Module):
    """Forward, backward and update of stacked arrays of VCM cells.

    Vectors are (trials, vectors, features) in a stacked tile, and have aihwkit's own layouts otherwise.

    Random numbers are functions of counters: the noise of a read and the pulses of an update are keyed by the trial's
    seed, the tile's index and the number of the call, so a tile can be restored from its state alone. If the
    configuration has no seeds, they are drawn from torch's global generator.

    A trial gets the same numbers whatever is stacked with it. The noise of a read is the same on a GPU as on a CPU, if
    the GPU has Triton; pulses, telegraph and 1/f noise there have other numbers of the same distribution.
    """

    def __init__(self, x_size: int, d_size: int, rpu_config: VCMSettings, bias: bool = False) -> None:
        torch.nn.Module.__init__(self)
        if bias:
            raise AnalogBiasConfigError("an analog bias is not supported: leave mapping.digital_bias on")
        rpu_config.check()
        self.x_size, self.d_size = x_size, d_size
        self.stacked = rpu_config.trials is not None
        self.learning_rate = 0.1
        trials = rpu_config.trials or 1
        self.rate_factors = (1.0,) * trials
        named = rpu_config.seeds
        if named is None:
            self._take_seeds([ArraySeeds(*row) for row in torch.randint(2**63 - 1, (trials, 3)).tolist()], 0)
        else:
            self._take_seeds(named.trials, named.next_place())
        self.counts, self.suspects = (Count(), Count(), Count()), new_suspects(trials)
        with Doing(f"layer {self.index + 1}"):
            self.cells = CellArrays(rpu_config.devices(), d_size, x_size, self.seeds, self.index)
        self._read_noise: tuple[Tensor, bool] | None = None
        self._keys = SentNumbers(torch.uint64), SentNumbers(torch.uint64)
        self._numbers: list[tuple[list[dict[str, Any]], IoNumbers] | None] = [None, None]
        self._compiled = CompiledProduct(), CompiledProduct()
        self.set_config(rpu_config)

    def reseed(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Fabricate new arrays (all weights 0) from named streams; ``index`` is the tile's place in the network."""
        if len(seeds) != self.cells.trials:
            raise TileError(f"{len(seeds)} seeds for {self.cells.trials} trials: give one per trial")
        self._take_seeds(seeds, index)
        self.calls, self.suspects = [0, 0, 0], new_suspects(self.cells.trials)
        device = self.cells.log_n.device
        self.cells.fabricate(self.seeds, index)
        self.cells.to(device)

    def _take_seeds(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        self.seeds, self.index = list(seeds), index
        # Keys that no call changes: of each trial's pulses and its reads in either direction, and of the whole stack's
        # reads where torch's operations read it.
        self._pulses = tuple(stream_key(seed.pulses, index) for seed in seeds)
        self._reads = tuple(tuple(stream_key(seed.io, index, way) for seed in seeds) for way in (_FORWARD, _BACKWARD))
        self._stack_reads = stream_key(*(seed.io for seed in seeds), index)

    def set_config(self, rpu_config: VCMSettings) -> None:
        """Take the forward, backward and update settings for the next passes."""
        self._io, self._updates = (rpu_config.forward, rpu_config.backward), rpu_config.updates()

    @property
    def replayable(self) -> bool:
        """Whether a GPU can repeat a step by itself: its kernels do everything, and the host draws nothing."""
        cells = self.cells
        pulsed = self._updates[0].pulse_type not in (PulseType.NONE, PulseType.NONE_WITH_DEVICE)
        return cells.log_n.is_cuda and cells.on_kernels and not cells.slow and pulsed

    def _vectors(self, values: Tensor, what: str) -> Tensor:
        """An input as (trials, vectors, features) float32; ``what`` names it in errors."""
        if not self.stacked:
            return values.reshape(1, -1, values.shape[-1]).float()
        trials = self.cells.trials
        if values.dim() != 3 or values.shape[0] != trials:
            raise TileError(f"{what} of shape {tuple(values.shape)} must lead with the axis of {trials} trials")
        return values.float()

    @property
    def calls(self) -> list[int]:
        """How often the tile was read forward, read back, and pulsed: each call draws other random numbers."""
        return [count.number for count in self.counts]

    @calls.setter
    def calls(self, numbers: Sequence[int]) -> None:
        for count, number in zip(self.counts, numbers, strict=True):
            count.number = int(number)

    def _product(self, vectors: Tensor, purpose: int) -> Tensor:
        """The product of the vectors with the weights as they read now, or with the transposed ones on the way back."""
        product = self._read(vectors, purpose, self.counts[purpose])
        self.counts[purpose].add()
        return product

    def _read(self, vectors: Tensor, purpose: int, call: Count) -> Tensor:
        io, numbers = self._io_numbers(purpose), self._read_noise_numbers()

        def turned(matrix: Tensor) -> Tensor:
            return matrix if purpose == _FORWARD else matrix.transpose(1, 2)

        weight = turned(read_weight(self.cells))
        if vectors.is_cuda:
            # Triton takes a while to import, and a CPU does without it.
            from vcm_sweep.device.tile import gpu_product as gpu

            if gpu.PRESENT:
                keys = self._keys[purpose].on(vectors.device, self._reads[purpose])
                plain = turned(self.cells.weight) if self.cells.slow else None
                noise = None if numbers is None else gpu.CellNoise(numbers, plain)
                return gpu.gpu_product(weight, vectors, io, keys, call, noise)
        sd = None
        if numbers is not None:
            sd = turned(numbers[:, :1, None] * (self.cells.weight - numbers[:, 1:, None]))
        if vectors.device.type == "cpu":
            each = np.array([key_of_more(key, call.number) for key in self._reads[purpose]], np.uint64)
            return self._compiled[purpose](weight, vectors, io, each, self.suspects, sd)

        def normal(shape: tuple[int, ...], draw: int) -> Tensor:
            # One kernel draws for the whole stack, from one key.
            out = torch.empty(shape, dtype=torch.float32, device=vectors.device)
            key = key_of_more(self._stack_reads, purpose, call.number, draw)
            return out.normal_(generator=torch.Generator(vectors.device).manual_seed(key))

        return analog_product(weight, vectors, io, normal, sd)

    def _io_numbers(self, purpose: int) -> IoNumbers:
        """The numbers of a direction's settings, made anew when those have changed."""
        given = self._io[purpose]
        ios = [given] if isinstance(given, IOParameters) else given
        now = [dict(vars(io)) for io in ios]
        known = self._numbers[purpose]
        if known is None or known[0] != now:
            known = self._numbers[purpose] = now, IoNumbers(ios, purpose == _FORWARD)
        return known[1]

    def _read_noise_numbers(self) -> Tensor | None:
        """(trials, 2): the scatter of reads relative to a cell's read current, and the weight at which there is none.

        None if no trial has read noise.
        """
        weight = self.cells.weight
        if self._read_noise is None or self._read_noise[0].device != weight.device:
            numbers = [(d.variability.read_noise.sigma, d.map.line[0]) for d in self.cells.devices]
            self._read_noise = (
                torch.tensor(numbers).to(weight.device, non_blocking=True),
                any(sigma for sigma, _ in numbers),
            )
        numbers_there, noisy = self._read_noise
        return numbers_there if noisy else None

    @torch.no_grad()
    def forward(
        self, x_input: Tensor, bias: bool = False, in_trans: bool = False, out_trans: bool = False,
        is_test: bool = False, non_blocking: bool = False,
    ) -> Tensor:  # fmt: skip
        """The analog product of the inputs with the weights."""
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        if self.cells.slow:
            call = self.calls[_FORWARD]
            advance(self.cells, [stream_key(seed.io, self.index, _SLOW, call) for seed in self.seeds])
        y = self._product(self._vectors(x_input, "input"), _FORWARD)
        return _typed(y.view(*x_input.shape[:-1], self.d_size), x_input)

    @torch.no_grad()
    def backward(
        self, d_input: Tensor, bias: bool = False, in_trans: bool = False, out_trans: bool = False,
        non_blocking: bool = False,
    ) -> Tensor:  # fmt: skip
        """The analog product of the errors with the transposed weights."""
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        y = self._product(self._vectors(d_input, "gradient"), _BACKWARD)
        return _typed(y.view(*d_input.shape[:-1], self.x_size), d_input)

    @torch.no_grad()
    def update(
        self,
        x_input: Tensor,
        d_input: Tensor,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
        non_blocking: bool = False,
    ) -> None:
        """Apply the programming pulses of a batch, one sample after the other.

        With the pulse types NONE and NONE_WITH_DEVICE the step is added in floating point instead.
        """
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        x, d = self._vectors(x_input, "input"), self._vectors(d_input, "gradient")
        rates = [self.learning_rate * factor for factor in self.rate_factors]
        if self._updates[0].pulse_type in (PulseType.NONE, PulseType.NONE_WITH_DEVICE):
            self.cells.shift(torch.bmm(d.transpose(1, 2), x) * -x.new_tensor(rates)[:, None, None])
        else:
            self.cells.pulse(x, d, rates, self._updates, self._pulses, self.counts[_PULSES])
        self.counts[_PULSES].add()

    def set_weights(self, weight: Tensor) -> None:
        """Program the cells; each gets the weight nearest to the wanted one that it can reach."""
        if weight.numel() != self.cells.weight.numel():
            raise TileError(
                f"weights of shape {tuple(weight.shape)} must be of the tile's shape, {tuple(self.cells.weight.shape)}"
            )
        if bad := int((~torch.isfinite(weight)).sum()):
            raise TileError(f"{bad} of {weight.numel()} weights are not finite: give finite ones")
        self.cells.program(weight.reshape(self.cells.weight.shape))

    def get_weights(self, as_ref: bool = False) -> Tensor:
        """The weights read by the periphery: (out, in), or (trials, out, in) when stacked."""
        weight = self.cells.weight if self.stacked else self.cells.weight[0]
        return weight if as_ref else weight.detach().cpu().clone()

    def get_x_size(self) -> int:
        """Number of inputs."""
        return self.x_size

    def get_d_size(self) -> int:
        """Number of outputs."""
        return self.d_size

    def get_brief_info(self) -> str:
        """The line that aihwkit prints."""
        return f"VCMSimulatorTile({self.extra_repr()})"

    def extra_repr(self) -> str:
        """Sizes and device."""
        trials = self.cells.trials if self.stacked else None
        return f"{self.d_size}, {self.x_size}, {self.cells.log_n.device}, trials={trials}"

    def get_learning_rate(self) -> float:
        """The learning rate, without the factors of single trials."""
        return self.learning_rate

    def set_learning_rate(self, learning_rate: float | None) -> None:
        """Set the learning rate of all trials."""
        if learning_rate is not None:
            if not math.isfinite(learning_rate):
                raise TileError(f"learning rate {learning_rate} must be a finite number")
            self.learning_rate = float(learning_rate)

    def set_rate_factors(self, factors: Sequence[float]) -> None:
        """Set the factor on each trial's learning rate; a trial with factor 0 keeps its cells as they are."""
        if len(factors) != self.cells.trials:
            raise TileError(f"{len(factors)} learning-rate factors for {self.cells.trials} trials: give one per trial")
        for factor in factors:
            if not 0.0 <= factor < math.inf:
                raise TileError(f"learning-rate factor {factor} must be a finite number, at least 0")
        self.rate_factors = tuple(map(float, factors))

    def set_weights_uniform_random(self, bmin: float, bmax: float) -> None:
        """Program uniform weights from bmin to bmax."""
        if bmin >= bmax:
            raise TileError(f"bmin = {bmin} must be below bmax = {bmax}")
        self.set_weights(bmin + (bmax - bmin) * torch.rand(self.cells.weight.shape))

    def dump_extra(self) -> dict[str, Any]:
        """The whole state of the arrays, so that a copied or pickled layer continues as the same arrays."""
        return {
            "index": self.index,
            "calls": self.calls,
            "suspects": self.suspects.copy(),
            "seeds": [tuple(seed) for seed in self.seeds],
            "rate_factors": self.rate_factors,
            "devices": self.cells.given,
            "buffers": {name: b.detach().cpu().clone() for name, b in self.named_buffers(remove_duplicate=False)},
        }

    def load_extra(self, extra: dict[str, Any], strict: bool = False) -> None:
        """Restore what :meth:`dump_extra` gave. If this tile's device makes other cells, keep only weights and counts.

        The cells are then drawn anew from the saved seeds and programmed to the saved weights.
        """
        buffers, own = extra["buffers"], dict(self.named_buffers(remove_duplicate=False))
        seeds = [ArraySeeds(*seed) for seed in extra["seeds"]]
        saved = extra.get("devices", self.cells.given)
        same_make = [_make(device) for device in saved] == [_make(device) for device in self.cells.given]
        if same_make and all(buffers[name].shape == buffer.shape for name, buffer in own.items()):
            for name, buffer in own.items():
                buffer.copy_(buffers[name])
            self.cells.resume(seeds, extra["index"])
        else:
            self.reseed(seeds, extra["index"])
            self.set_weights(buffers["cells.weight"])
            self.cells.counters.copy_(buffers["cells.counters"])
        self._take_seeds(seeds, extra["index"])
        self.calls = extra["calls"]
        self.suspects = extra.get("suspects", new_suspects(self.cells.trials)).copy()
        self.rate_factors = tuple(extra["rate_factors"])


def _make(device: VCMDevice) -> tuple[Any, ...]:
    """All of a device that decides which cells are made. Pulses and read noise can change without making new cells."""
    nominal = tuple(getattr(device.parameters, name) for name in CellParameters.names())
    varied = replace(device.variability, read_noise=ReadNoise())
    return nominal, varied, device.periphery, device.model, device.reads_cell, device.intervention


def _typed(y: Tensor, like: Tensor) -> Tensor:
    """Outputs in the precision of the inputs, which the layers around them have; single precision for whole numbers."""
    return y.to(like.dtype) if like.is_floating_point() else y
