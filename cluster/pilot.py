"""What a trial of a study costs, measured."""

from vcm_sweep.sweep.design import SobolDesign
from vcm_sweep.sweep.study import Study

from .tasks import TrainSettings, train_from


def pilot(study: Study, settings: TrainSettings, pack: int) -> float:
    """CPU seconds per trial of one pack, spread evenly over the design, after compiling; nothing is stored."""
    import dataclasses

    import torch

    torch.set_num_threads(1)
    trials = list(SobolDesign(study).trials())
    chosen = trials[:: max(1, len(trials) // pack)][:pack]
    # One short trial first: compiling and loading are no cost of a trial.
    network = {**chosen[0].inputs["network"], "epochs": 1, "train_samples": 0, "validation_samples": 0, "patience": 0}
    train_from(settings, [dataclasses.replace(chosen[0], inputs={**chosen[0].inputs, "network": network})])
    return max(record.cpu_s for record in train_from(settings, chosen))
