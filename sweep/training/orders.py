"""``Orders``: in which order each trial sees the samples, epoch by epoch."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch


class Orders:
    """The orders of samples of stacked trials, (trials, batches * batch) row numbers of each epoch in turn.

    A short last batch is filled up with -1, samples that do not count: their errors are 0 and fire no pulses. So all
    batches have the same shape, and a trial gets the same bits at any place in the stack.

    Args:
        seeds: one per trial.
        samples, batch: how many there are, and in a batch.

    Attributes:
        ahead: draw the next order in a thread while this one is used, as by a GPU, whose host has little to do.

    Example:
        >>> Orders([1, 2], samples=5, batch=3).next().shape
        torch.Size([2, 6])
    """

    def __init__(self, seeds: Sequence[int], samples: int, batch: int) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._samples, self._missing = samples, -samples % batch
        self.ahead = False
        self._thread = ThreadPoolExecutor(1)  # which starts with the first order that is drawn ahead
        self._drawn: Future[torch.Tensor] | None = None

    def next(self) -> torch.Tensor:
        """The order of the next epoch, on the CPU."""
        order = self._drawn.result() if self._drawn else self._draw()
        self._drawn = self._thread.submit(self._draw) if self.ahead else None
        return order

    def _draw(self) -> torch.Tensor:
        order = torch.empty(len(self._generators), self._samples + self._missing, dtype=torch.int64)
        order[:, self._samples :] = -1
        for row, generator in zip(order, self._generators, strict=True):
            torch.randperm(self._samples, generator=generator, out=row[: self._samples])
        return order
