"""The axis of stacked trials in inputs and weights."""

from typing import TYPE_CHECKING

from aihwkit.exceptions import TileError
from torch import Tensor

if TYPE_CHECKING:
    pass


def fold_to_trials(values: Tensor, trials: int) -> Tensor:
    """(trials, vectors, features) of values whose first axis is the trials', or starts with them."""
    if values.dim() < 2 or values.shape[0] % trials:
        raise TileError(
            f"input of shape {tuple(values.shape)} must lead with an axis of {trials} trials, alone or folded with "
            "the batch"
        )
    return values.reshape(trials, -1, values.shape[-1])


def stack_weight(weight: Tensor, trials: int, out_size: int, in_size: int) -> Tensor:
    """(trials, out, in) of a weight that is given once for all trials, or once for each."""
    if weight.numel() == out_size * in_size:
        return weight.reshape(1, out_size, in_size).expand(trials, -1, -1)
    return weight.reshape(trials, out_size, in_size)
