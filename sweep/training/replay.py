"""``Replay``: a training step on a GPU, recorded once as a CUDA graph and from then on started as one.

A step is some hundred operations, which take the host longer to start than they take the GPU. None of them waits, and
all numbers that change from step to step are on the GPU: the batch's place is copied there, learning rates stand in one
place, and the GPU counts the calls from which random numbers are drawn.
"""

import logging
from collections.abc import Callable, Sequence

import torch

from vcm_sweep.device.array.count import Count

_log = logging.getLogger("vcm_sweep")

# Steps that the host starts one by one first: they compile kernels, and send what stays.
_FIRST = 3


def cuda_graph(work: Callable[[], None]) -> Callable[[], None]:
    """Record what ``work`` asks of the GPU, which does none of it yet; returns what starts all of it."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        # Another thread may make the cells of the next pack meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            work()
    except BaseException:
        torch.cuda.set_stream(stream)  # which torch does not put back where a recording fails
        raise
    return graph.replay


class Replay:
    """Takes the steps of one stack.

    Steps that have something to send, as new learning rates, are started one by one. If the GPU does not record a step,
    which a line of the log says, all are.

    Args:
        work: does a step on (trials, batch) row numbers at each trial's learning rate.
        forget: drops what a step that was not finished has left on the host.
        counts: of the calls in a step; they count on when it is replayed.
        record: as :func:`cuda_graph`.
    """

    possible = True
    """False in a process in which a GPU did not record a step: an attempt that fails may cost memory for good, and is
    not made again."""

    def __init__(
        self,
        work: Callable[[torch.Tensor, Sequence[float]], None],
        forget: Callable[[], None],
        counts: Sequence[Count],
        record: Callable[[Callable[[], None]], Callable[[], None]] = cuda_graph,
    ) -> None:
        self._work, self._forget, self._counts, self._record = work, forget, counts, record
        self._started, self._rates = 0, list[float]()
        self._rows: torch.Tensor | None = None
        self._replay: Callable[[], None] | None = None
        self._calls: list[int] = []

    def step(self, rows: torch.Tensor, rates: Sequence[float]) -> None:
        """One step; rows: (trials, batch) row numbers on the GPU, always as many."""
        # A state that was loaded has counts that the next step sends.
        known = self._rates == list(rates) and all(count.agrees for count in self._counts)
        if not Replay.possible or self._started < _FIRST or not known:
            self._work(rows, rates)
            self._started, self._rates = self._started + 1, list(rates)
            return
        if self._rows is None:
            self._rows = rows.clone()
        if self._replay is None and not self._recorded(self._rows):
            self._work(rows, rates)
            return
        self._rows.copy_(rows)
        assert self._replay is not None
        self._replay()
        for count, calls in zip(self._counts, self._calls, strict=True):
            count.counted_there(calls)

    def _recorded(self, rows: torch.Tensor) -> bool:
        before = [count.number for count in self._counts]
        try:
            self._replay = self._record(lambda: self._work(rows, self._rates))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            Replay.possible = False
            self._forget()
            # What failed first stands at the end of the chain; what follows says that it has.
            cause: BaseException = error
            while cause.__context__ is not None:
                cause = cause.__context__
            _log.warning("the GPU takes steps one by one, for it did not record one: %s", " ".join(str(cause).split()))
        self._calls = [count.number - number for count, number in zip(self._counts, before, strict=True)]
        # Nothing has been done, and so nothing counted.
        for count, calls in zip(self._counts, self._calls, strict=True):
            count.counted_there(-calls)
        return Replay.possible
