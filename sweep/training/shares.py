"""``Shares``: how the time that a stack takes is divided among its trials."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np


class Shares:
    """Wall and CPU seconds of every trial.

    The time between two calls is charged to the trials that were active. The time of programming is divided in
    proportion to the pulses that each of them fired, in which trials of one stack differ by orders of magnitude.

    Attributes:
        wall_s, cpu_s: (trials,) float64.
    """

    def __init__(self, trials: int) -> None:
        self.wall_s, self.cpu_s = np.zeros(trials), np.zeros(trials)
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def pause(self) -> None:
        """Stop the clocks until ``resume``: what passes meanwhile is charged to nobody."""
        self._paused = time.perf_counter(), time.process_time()

    def resume(self) -> None:
        """Let the clocks go on."""
        self._wall += time.perf_counter() - self._paused[0]
        self._cpu += time.process_time() - self._paused[1]

    def equally(self, active: Sequence[int]) -> None:
        """Charge the time since the last call to the active trials in equal parts; to all trials if none is active."""
        weights = np.zeros(len(self.wall_s))
        weights[list(active) or slice(None)] = 1.0
        self._charge(weights)

    def by_pulses(self, pulses: "np.ndarray[Any, Any]", active: Sequence[int]) -> None:
        """Charge the time since the last call in proportion to ``pulses``, (trials,); equally if there were none."""
        if pulses.sum() > 0:
            self._charge(pulses)
        else:
            self.equally(active)

    def _charge(self, weights: "np.ndarray[Any, Any]") -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        weights = weights / weights.sum()
        self.wall_s += (wall - self._wall) * weights
        self.cpu_s += (cpu - self._cpu) * weights
        self._wall, self._cpu = wall, cpu
