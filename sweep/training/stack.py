"""The interface of stacks, which train several trials together: stacked arrays of VCM cells, or aihwkit's own devices.

In inputs the trials are folded into the batch, one after the other: (trials * batch, ...).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np

    from vcm_sweep.device.array.count import Count


class Stack(ABC):
    """K networks of one shape, each with its own cells, seeds and learning rate."""

    trials: int

    @abstractmethod
    def to(self, device: str) -> None:
        """Move from the CPU, where stacks are made, to torch's device of that name."""

    @abstractmethod
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scores (trials, batch, classes) of samples (trials * batch, ...)."""

    @abstractmethod
    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then clear the gradients; a rate of 0 freezes a trial."""

    @abstractmethod
    def train(self, mode: bool) -> None:
        """Switch between training and evaluation, as torch modules do."""

    @abstractmethod
    def memory(self) -> tuple[int, list[int]]:
        """Bytes that a trial's cells take, and the number of inputs and outputs per sample of each layer."""

    def counts(self) -> "list[Count] | None":
        """What counts the calls of a step, if a GPU can replay it; None if a step asks the host for more than that."""
        return None

    def forget(self) -> None:  # noqa: B027 - most stacks leave nothing
        """Drop the gradients of a step that was not finished."""

    def pulses(self) -> "np.ndarray[Any, Any] | None":
        """(trials,) pulses fired so far; None if finding out means waiting for a device, or nothing counts them."""
        return None

    @abstractmethod
    def figures(self, k: int) -> dict[str, Any]:
        """The figures of trial k's cells for its record; their names are ``FIGURES`` of trial.py."""


class ResumableStack(Stack):
    """A stack whose trials can be saved while they train, and continued in any other stack."""

    @abstractmethod
    def state(self, k: int) -> dict[str, torch.Tensor]:
        """Everything that changes while trial k trains."""

    @abstractmethod
    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state` gave for a trial with the same inputs and seed."""
