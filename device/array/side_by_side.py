"""``side_by_side``: the compiled work of several trials, in as many threads as torch may use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def side_by_side(prepare: Callable[[int], T], work: Callable[[int, T], None], trials: int) -> None:
    """Call ``work(k, prepare(k))`` for every trial, the work in as many threads as torch's own operations have.

    For compiled loops, which run without the interpreter's lock and change nothing of another trial; so a trial gets
    the same bits in any number of threads. An operation of torch has threads itself, and each that calls one would
    start as many again: they belong in ``prepare``, which this thread does, for no more trials at a time than there
    are threads.

    Example:
        >>> squares = [0] * 3
        >>> side_by_side(lambda k: k * k, squares.__setitem__, 3)
        >>> squares
        [0, 1, 4]
    """
    threads = min(torch.get_num_threads(), trials)
    if threads < 2:
        for k in range(trials):
            work(k, prepare(k))
        return
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, trials, threads):
            some = range(first, min(first + threads, trials))
            for _ in pool.map(work, some, [prepare(k) for k in some]):
                pass  # an error of any trial is raised here
