"""Seeds that follow from a trial's content, so that it draws the same numbers on any worker and in any order."""

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np

from vcm_sweep.device.seeds import ArraySeeds


class TrialSeeds(NamedTuple):
    """The named random streams of one trial, each 0..2^63-1."""

    device: int
    pulses: int
    io: int
    init: int
    data_order: int

    @property
    def arrays(self) -> ArraySeeds:
        """The seeds that the cell arrays draw from."""
        return ArraySeeds(self.device, self.pulses, self.io)


def trial_seed(study_seed: int, replicate: int, shared: Any) -> int:
    """The 63-bit seed of a trial, from the study's seed, its replicate and ``shared``.

    Trials with the same ``shared``, a JSON value, have the same seed. It is the trial's inputs if seeds are
    independent, and the number of its base row or trajectory if they are common.

    >>> trial_seed(1, 0, {"x": 1.0}) != trial_seed(1, 1, {"x": 1.0})
    True
    """
    digest = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return _draw(np.random.SeedSequence([study_seed, replicate, *words]), 1)[0]


def children(seed: int) -> TrialSeeds:
    """The seeds of a trial's named random streams, drawn from the trial's seed."""
    return TrialSeeds(*_draw(np.random.SeedSequence(seed), len(TrialSeeds._fields)))


def _draw(sequence: np.random.SeedSequence, count: int) -> list[int]:
    return [int(word >> np.uint64(1)) for word in sequence.generate_state(count, np.uint64)]
