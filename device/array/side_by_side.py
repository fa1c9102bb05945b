"""``side_by_side``: the compiled work of several trials, in as many threads as torch may use."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def side_by_side(work: Callable[[int], None], trials: int) -> None:
    """Call ``work(k)`` for every trial, in as many threads as torch's own operations have.

    For compiled loops, which run without the interpreter's lock and change nothing of another trial; so a trial gets
    the same bits in any number of threads. An operation of torch has threads itself, and each that calls one would
    start as many again: none belongs in ``work``.

    Example:
        >>> squares = [0] * 3
        >>> side_by_side(lambda k: squares.__setitem__(k, k * k), 3)
        >>> squares
        [0, 1, 4]
    """
    threads = min(torch.get_num_threads(), trials)
    if threads < 2:
        for k in range(trials):
            work(k)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, range(trials)):
            pass  # an error of any trial is raised here
