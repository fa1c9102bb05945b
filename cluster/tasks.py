"""What workers run. A module of its own, so that a worker imports no more than it needs."""

from collections.abc import Sequence

from vcm_sweep.sweep.trial import Trial, TrialRecord


def train_from(data_dir: str | None, trials: Sequence[Trial]) -> list[TrialRecord]:
    """Train a pack with the data in a folder."""
    from vcm_sweep.sweep.training import train

    return train(trials, data_dir)
