"""The axis of stacked trials in inputs and weights."""

from aihwkit.exceptions import TileError
from torch import Tensor


def fold_to_trials(values: Tensor, trials: int) -> Tensor:
    """The values as (trials, vectors, features); their first axis is that of trials, or trials and batch folded."""
    if values.dim() < 2 or values.shape[0] % trials:
        raise TileError(
            f"input of shape {tuple(values.shape)} must lead with an axis of {trials} trials, alone or folded with "
            "the batch"
        )
    return values.reshape(trials, -1, values.shape[-1])


def stack_weight(weight: Tensor, trials: int, out_size: int, in_size: int) -> Tensor:
    """A weight as (trials, out, in); it may be given once for all trials, or for each trial."""
    if weight.numel() == out_size * in_size:
        return weight.reshape(1, out_size, in_size).expand(trials, -1, -1)
    return weight.reshape(trials, out_size, in_size)
