"""The contract of a stack, trials side by side in one module: what a training asks of it.

Inputs have the trials folded into the batch, trial after trial: (trials * batch, ...).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np


class Stack(ABC):
    """K networks of one shape, each with its own cells, seeds and learning rate."""

    trials: int

    @abstractmethod
    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """(trials, batch, classes) of (trials * batch, ...)."""

    @abstractmethod
    def step(self, rates: Sequence[float]) -> None:
        """One step of every trial at its learning rate, then forget the gradients; 0 freezes a trial."""

    @abstractmethod
    def train(self, mode: bool) -> None:
        """Switch between training and evaluation, as torch modules do."""

    @abstractmethod
    def memory(self) -> tuple[int, list[int]]:
        """Bytes that a trial holds, and of each layer the inputs and outputs that a sample passes."""

    def pulses(self) -> "np.ndarray[Any, Any] | None":
        """(trials,) pulses fired so far, where that can be told without waiting for a device; else None."""
        return None

    @abstractmethod
    def figures(self, k: int) -> dict[str, Any]:
        """What trial k's record tells of its cells: `trial.FIGURES`."""


class ResumableStack(Stack):
    """A stack whose trials can be saved while they train, and taken up again in any other stack."""

    @abstractmethod
    def state(self, k: int) -> dict[str, torch.Tensor]:
        """All that changes while trial k trains."""

    @abstractmethod
    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state` gave, of a trial with the same inputs and seed."""
