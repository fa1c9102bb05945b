"""``VCMTile``: the tile in an aihwkit layer, with digital bias and the layouts of stacked trials."""

from typing import Any

import torch
from aihwkit.simulator.tiles.custom import CustomTile
from aihwkit.simulator.tiles.functions import AnalogFunction
from torch import Tensor
from torch.nn import Parameter

from vcm_sweep.device.public import public
from vcm_sweep.device.tile.settings import VCMSettings
from vcm_sweep.device.tile.stacking import fold_to_trials, stack_weight

_INPUT = 2  # the place of the input among the arguments of aihwkit's AnalogFunction


@public
class VCMTile(CustomTile):
    """aihwkit tile around :class:`VCMSimulatorTile`.

    With stacked trials the first axis of weights and bias is that of trials. Inputs have it as their first axis,
    (trials, batch, features), or folded into the batch, one trial after the other, (trials * batch, ..., features), as
    convolutions do.
    """

    digital_bias: bool

    def __init__(
        self, out_size: int, in_size: int, rpu_config: VCMSettings, bias: bool = False,
        in_trans: bool = False, out_trans: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(out_size, in_size, rpu_config, bias, in_trans, out_trans)
        if self.digital_bias and rpu_config.trials is not None:
            self.bias = Parameter(torch.zeros(rpu_config.trials, out_size, dtype=self.get_dtype()))

    def forward(self, x_input: Tensor, tensor_view: tuple[int, ...] | None = None) -> Tensor:
        """Analog product plus digital bias."""
        trials = self.rpu_config.trials
        if trials is None:
            plain: Tensor = super().forward(x_input, tensor_view)
            return plain
        # From here as in aihwkit's own forward, but vectors and bias have an axis of trials.
        self.tile.set_config(self.rpu_config)
        # aihwkit concatenates the passes before a step along the first axis. Passes may have different numbers of
        # vectors, so that axis must be the vectors', not the trials'.
        vectors = fold_to_trials(x_input, trials).transpose(0, 1)
        out = AnalogFunction.apply(self.get_analog_ctx(), self, vectors, self.shared_weights, not self.training)
        out = out.transpose(0, 1)
        if self.digital_bias:
            out = out + self.bias[:, None, :]
        stacked: Tensor = out.reshape(*x_input.shape[:-1], self.out_size)
        return stacked

    def joint_forward(self, x_input: Tensor, is_test: bool = False, ctx: Any = None) -> Tensor:
        """The periphery's and the array's part of a pass; with stacked trials (vectors, trials, features)."""
        out: Tensor = self._swap(super().joint_forward(self._swap(x_input), is_test, ctx))
        # Without a bias to be added this is the layer's output. torch lets nobody change a view that comes from a
        # function of its own in place, as ReLU(inplace=True) does.
        return out if self.digital_bias else out.clone()

    def backward(self, d_input: Tensor, ctx: Any = None) -> Tensor | None:
        """Errors at the inputs; None if nothing needs them, as in a network's first layer."""
        if ctx is not None and not ctx.needs_input_grad[_INPUT]:
            return None
        errors: Tensor = self._swap(super().backward(self._swap(d_input), ctx))
        return errors

    def update(self, x_input: Tensor, d_input: Tensor) -> None:
        """Apply the pulses of all passes since the last step; layouts as in :meth:`joint_forward`."""
        super().update(self._swap(x_input).contiguous(), self._swap(d_input).contiguous())

    def _swap(self, values: Tensor) -> Tensor:
        """With stacked trials, exchange the axes of vectors and trials, which are the first two."""
        return values if self.rpu_config.trials is None else values.transpose(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        # The analog state, loaded above, already has everything. torch would now copy the saved buffers too, even over
        # cells that were drawn anew for another device: so it is given the tile's own buffers.
        own = {f"{prefix}tile.{name}": b for name, b in self.tile.named_buffers(remove_duplicate=False)}
        for name in [name for name in state_dict if name.startswith(f"{prefix}tile.")]:
            del state_dict[name]
        state_dict.update(own)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The new tile draws seeds, which those of the state then replace. The fork keeps torch's global generator from
        # moving, so that nobody else's random numbers change.
        with torch.random.fork_rng(devices=[]):
            super().__setstate__(state)

    def _combine_weights(self, weight: Any, bias: Any = None) -> Tensor:
        if self.rpu_config.trials is None:
            plain: Tensor = super()._combine_weights(weight, bias)
            return plain
        given = torch.as_tensor(weight).detach().cpu().to(self.get_dtype()).clone()
        return stack_weight(given, self.rpu_config.trials, self.out_size, self.in_size)
