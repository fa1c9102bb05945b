"""Stochastic gradient descent of stacked trials, each with a learning rate of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from aihwkit.optim import AnalogSGD
from aihwkit.optim.context import AnalogContext

from vcm_sweep.device.array.sent_numbers import SentNumbers
from vcm_sweep.device.public import public


@public
class TrialSGD(AnalogSGD):
    """aihwkit's AnalogSGD with a factor per trial on every learning rate.

    Parameter groups and torch's schedulers set the learning rate as usual; trial k trains at that rate times
    ``factors[k]``. A trial with factor 0 is frozen: its cells and biases keep their values, whatever its gradients.
    There is neither momentum nor weight decay.

    Args:
        network: its layers stack K trials; the first axis of every parameter is that of trials.
        lr: the learning rate that the factors multiply.
        factors: K numbers, at least 0.

    Example:
        >>> from aihwkit.nn import AnalogLinear
        >>> from vcm_sweep.device import VCMRPUConfig
        >>> layer = AnalogLinear(8, 3, rpu_config=VCMRPUConfig(trials=2))
        >>> optimizer = TrialSGD(layer, lr=0.1, factors=[1.0, 0.0])
        >>> before = layer.get_weights()[0]
        >>> layer(torch.ones(2, 5, 8)).sum().backward()
        >>> optimizer.step()
        >>> (layer.get_weights()[0] != before).flatten(1).any(1)
        tensor([ True, False])
    """

    def __init__(self, network: torch.nn.Module, lr: float, factors: Sequence[float]) -> None:
        super().__init__(network.parameters(), lr=lr)
        self.regroup_param_groups()
        self._rates: dict[torch.nn.Parameter, SentNumbers] = {}
        self.set_factors(factors)

    def set_factors(self, factors: Sequence[float]) -> None:
        """Set each trial's factor."""
        self.factors = tuple(float(factor) for factor in factors)
        for group in self.param_groups:
            for parameter in group["params"]:
                if isinstance(parameter, AnalogContext):
                    parameter.analog_tile.tile.set_rate_factors(self.factors)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, and what cells keep of a batch for their update."""
        super().zero_grad(set_to_none)
        for group in self.param_groups:
            for parameter in group["params"]:
                if isinstance(parameter, AnalogContext):
                    parameter.reset()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """One step of all trials."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._step_digital()
        super().step(**kwargs)
        return loss

    def _step_digital(self) -> None:
        """Step the biases and clear their gradients, so that AnalogSGD then steps the cells alone."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if isinstance(parameter, AnalogContext) or parameter.grad is None:
                    continue
                sent = self._rates.setdefault(parameter, SentNumbers(parameter.dtype))
                rates = sent.on(parameter.device, [-group["lr"] * factor for factor in self.factors])
                rates = rates.view(-1, *(1,) * (parameter.dim() - 1))
                # A frozen trial may have gradients that are not finite, and 0 times those is NaN.
                gradient = torch.where(rates == 0, torch.zeros_like(parameter), parameter.grad)
                parameter.addcmul_(gradient, rates)
                parameter.grad = None
