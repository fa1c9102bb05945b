"""The aihwkit tile of VCM cells, on aihwkit's extension point for devices of one's own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from aihwkit.exceptions import AnalogBiasConfigError, TileError
from aihwkit.simulator.tiles.base import SimulatorTile
from aihwkit.simulator.tiles.custom import CustomTile
from aihwkit.simulator.tiles.functions import AnalogFunction
from torch import Tensor
from torch.nn import Parameter

from ._random import stream_key
from .array import CellArrays
from .mvm import analog_product
from .seeds import ArraySeeds

if TYPE_CHECKING:
    from .config import VCMRPUConfig

_FORWARD, _BACKWARD, _PULSES = 0, 1, 2
_INPUT = 2  # place of the input among the arguments of aihwkit's AnalogFunction


class VCMSimulatorTile(SimulatorTile, torch.nn.Module):
    """Forward, backward and update of stacked arrays of VCM cells.

    The random streams are counters: noise of a read and pulses of an update are keyed by the trial's seed, the
    tile's index and the number of the call, so a tile can be restored from its buffers alone. Without
    ``reseed`` the seeds come from torch's global generator.
    """

    calls: Tensor
    seeds: Tensor

    def __init__(self, x_size: int, d_size: int, rpu_config: "VCMRPUConfig", bias: bool = False) -> None:
        torch.nn.Module.__init__(self)
        if bias:
            raise AnalogBiasConfigError("an analog bias is not supported: leave mapping.digital_bias on")
        rpu_config.check()
        self.x_size, self.d_size = x_size, d_size
        self.stacked = rpu_config.trials is not None
        self.learning_rate: float | Tensor = 0.1
        trials = rpu_config.trials or 1
        drawn = torch.randint(2**63 - 1, (trials, 3))
        self.register_buffer("seeds", drawn)
        self.register_buffer("calls", torch.zeros(3, dtype=torch.int64))
        self.index = 0
        self.cells = CellArrays(rpu_config.devices(), d_size, x_size, self._array_seeds(), self.index)
        self.set_config(rpu_config)

    def reseed(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Fabricate new arrays (all weights 0) from named streams; ``index`` is the tile's place in the network."""
        if len(seeds) != self.cells.trials:
            raise TileError(f"{len(seeds)} seeds for {self.cells.trials} trials")
        self.seeds.copy_(torch.tensor([tuple(seed) for seed in seeds], dtype=torch.int64))
        self.calls.zero_()
        self.index = index
        device = self.seeds.device
        self.cells.fabricate(self._array_seeds(), index)
        self.cells.to(device)

    def _array_seeds(self) -> list[ArraySeeds]:
        return [ArraySeeds(*row) for row in self.seeds.tolist()]

    def set_config(self, rpu_config: "VCMRPUConfig") -> None:
        """Take the forward, backward and update settings for the next passes."""
        self._forward_io, self._backward_io, self._update = rpu_config.forward, rpu_config.backward, rpu_config.update

    def _stack(self, values: Tensor, what: str) -> Tensor:
        """(trials, vectors, features) of an input in aihwkit's layout."""
        if not self.stacked:
            return values.reshape(1, -1, values.shape[-1])
        trials = self.cells.trials
        if values.dim() < 2 or values.shape[0] % trials:
            raise TileError(f"{what} of shape {tuple(values.shape)} must lead with the axis of {trials} trials")
        # aihwkit joins several forward passes before a step on the leading axis.
        parts = values.reshape(-1, trials, values[0].numel() // values.shape[-1], values.shape[-1])
        return parts.transpose(0, 1).reshape(trials, -1, values.shape[-1])

    def _next_call(self, purpose: int) -> int:
        call = int(self.calls[purpose])
        self.calls[purpose] += 1
        return call

    def _product(self, weight: Tensor, vectors: Tensor, purpose: int, io: Any, sd: Tensor | None) -> Tensor:
        call, seeds = self._next_call(purpose), self._array_seeds()

        def normal(shape: tuple[int, ...], draw: int) -> Tensor:
            out = torch.empty(shape, dtype=torch.float32, device=vectors.device)
            for k, seed in enumerate(seeds):
                generator = torch.Generator(vectors.device)
                generator.manual_seed(stream_key(seed.io, self.index, purpose, call, draw))
                out[k].normal_(generator=generator)
            return out

        return analog_product(weight, vectors, io, normal, sd, bound_management=purpose == _FORWARD)

    def _read_noise_sd(self) -> Tensor | None:
        """Standard deviation of each weight over reads: relative to the read current of its cell."""
        relative = [device.variability.read_noise for device in self.cells.devices]
        if not any(relative):
            return None
        dark = [device.periphery.weight_at_zero_current for device in self.cells.devices]
        weight = self.cells.weight
        factor = weight.new_tensor(relative)[:, None, None]
        return factor * (weight - weight.new_tensor(dark)[:, None, None])

    @torch.no_grad()
    def forward(
        self, x_input: Tensor, bias: bool = False, in_trans: bool = False, out_trans: bool = False,
        is_test: bool = False, non_blocking: bool = False,
    ) -> Tensor:  # fmt: skip
        """The analog product of the inputs with the weights."""
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        y = self._product(
            self.cells.weight, self._stack(x_input, "input"), _FORWARD, self._forward_io, self._read_noise_sd()
        )
        return y.view(*x_input.shape[:-1], self.d_size)

    @torch.no_grad()
    def backward(
        self, d_input: Tensor, bias: bool = False, in_trans: bool = False, out_trans: bool = False,
        non_blocking: bool = False,
    ) -> Tensor:  # fmt: skip
        """The analog product of the errors with the transposed weights."""
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        sd = self._read_noise_sd()
        y = self._product(
            self.cells.weight.transpose(1, 2), self._stack(d_input, "gradient"), _BACKWARD, self._backward_io,
            None if sd is None else sd.transpose(1, 2),
        )  # fmt: skip
        return y.view(*d_input.shape[:-1], self.x_size)

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
        """Fire the programming pulses of a batch, samples one after the other."""
        if bias or in_trans or out_trans:
            raise TileError("transposed inputs or analog bias are not supported")
        call = self._next_call(_PULSES)
        keys = [stream_key(seed.pulses, self.index, call) for seed in self._array_seeds()]
        rate = self.learning_rate
        rates = rate.tolist() if isinstance(rate, Tensor) else [rate] * self.cells.trials
        x, d = self._stack(x_input, "input").float(), self._stack(d_input, "gradient").float()
        self.cells.pulse(x, d, rates, self._update, keys)

    def set_weights(self, weight: Tensor) -> None:
        """Program the cells; each keeps the nearest weight that it reaches."""
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
        return (
            f"{self.d_size}, {self.x_size}, {self.seeds.device}, trials={self.cells.trials if self.stacked else None}"
        )

    def get_learning_rate(self) -> float:
        """Learning rate; the mean over trials where they differ."""
        rate = self.learning_rate
        return float(rate.mean()) if isinstance(rate, Tensor) else rate

    def set_learning_rate(self, learning_rate: "float | Tensor | None") -> None:
        """Set the learning rate: one number, or a tensor of one per trial."""
        if learning_rate is not None:
            self.learning_rate = learning_rate

    def set_weights_uniform_random(self, bmin: float, bmax: float) -> None:
        """Program uniform weights from bmin to bmax."""
        if bmin >= bmax:
            raise TileError(f"bmin = {bmin} must be below bmax = {bmax}")
        self.set_weights(bmin + (bmax - bmin) * torch.rand(self.cells.weight.shape))

    def dump_extra(self) -> dict[str, Any]:
        """All buffers, so that a copied or pickled layer is the same array."""
        return {"index": self.index, "buffers": {name: b.detach().cpu().clone() for name, b in self.named_buffers()}}

    def load_extra(self, extra: dict[str, Any], strict: bool = False) -> None:
        """Restore what :meth:`dump_extra` gave."""
        self.index = extra["index"]
        for name, buffer in self.named_buffers():
            buffer.copy_(extra["buffers"][name])


class VCMTile(CustomTile):
    """aihwkit tile around :class:`VCMSimulatorTile`; with stacked trials weights and bias lead with their axis."""

    digital_bias: bool

    def __init__(
        self, out_size: int, in_size: int, rpu_config: "VCMRPUConfig | None" = None, bias: bool = False,
        in_trans: bool = False, out_trans: bool = False,
    ) -> None:  # fmt: skip
        if rpu_config is None:
            from .config import VCMRPUConfig

            rpu_config = VCMRPUConfig()
        super().__init__(out_size, in_size, rpu_config, bias, in_trans, out_trans)
        if self.digital_bias and rpu_config.trials is not None:
            self.bias = Parameter(torch.zeros(rpu_config.trials, out_size, dtype=self.get_dtype()))

    def forward(self, x_input: Tensor, tensor_view: tuple[int, ...] | None = None) -> Tensor:
        """Analog product plus digital bias."""
        trials = self.rpu_config.trials
        if trials is None or not self.digital_bias:
            plain: Tensor = super().forward(x_input, tensor_view)
            return plain
        # aihwkit's own forward, with a bias that has an axis of trials.
        self.tile.set_config(self.rpu_config)
        out = AnalogFunction.apply(self.get_analog_ctx(), self, x_input, self.shared_weights, not self.training)
        scaled: Tensor = self.apply_out_scaling(out, self.get_tensor_view(out.dim()))
        return scaled + self.bias.view(trials, *(1,) * (out.dim() - 2), self.out_size)

    def backward(self, d_input: Tensor, ctx: Any = None) -> Tensor | None:
        """Errors at the inputs; not computed where nothing asks for them, as in a network's first layer."""
        if ctx is not None and not ctx.needs_input_grad[_INPUT]:
            return None
        errors: Tensor = super().backward(d_input, ctx)
        return errors

    def _combine_weights(self, weight: Any, bias: Any = None) -> Tensor:
        if self.rpu_config.trials is None:
            plain: Tensor = super()._combine_weights(weight, bias)
            return plain
        shape = (self.rpu_config.trials, self.out_size, self.in_size)
        stacked: Tensor = torch.as_tensor(weight).detach().cpu().to(self.get_dtype()).clone().reshape(shape)
        return stacked
