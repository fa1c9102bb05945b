"""What workers run. A module of its own, so that a worker imports no more than it needs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from vcm_sweep.sweep.trial import Trial, TrialRecord


@dataclass(frozen=True)
class TrainSettings:
    """Where a worker finds data and code, and keeps what it has not finished.

    Attributes:
        data_dir: torchvision root. import_dir: folder of the user's own modules, the one vcm-sweep started in.
        device: of torch. checkpoints: folder of unfinished trials. checkpoint_s: seconds between two states.
    """

    data_dir: str | None = None
    import_dir: str | None = None
    device: str = "cpu"
    checkpoints: str | None = None
    checkpoint_s: float = 300.0


def train_from(settings: TrainSettings, trials: Sequence[Trial]) -> list[TrialRecord]:
    """Train a pack."""
    from vcm_sweep.sweep.training import train

    # At the end: a file named like an installed package must not shadow it.
    if settings.import_dir and settings.import_dir not in sys.path:
        sys.path.append(settings.import_dir)
    return train(trials, settings.data_dir, settings.device, settings.checkpoints, settings.checkpoint_s)
