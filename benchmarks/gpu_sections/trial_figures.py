"""The figures by which trainings on a GPU and on a CPU are compared: a row per trial."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_sections.stacks import Sizes, Training, data

DECILES = [k / 10 for k in range(1, 10)]

Rows: TypeAlias = dict[str, NDArray[np.float64]]
"""A column per figure, with one number per trial."""


def trial_figures(training: Training, size: Sizes) -> Rows:
    """Train the first steps, and return what became of every trial.

    Losses are sums over steps, in nats per sample; pulses and energy in J are sums over the layers.
    """
    first, second = size.marks
    losses = []
    for until in (first, second, size.steps):
        training.take(until - training.done)
        losses.append(training.run.total.double().cpu().numpy() / training.batch)
    counters = training.counters().numpy()
    rows: Rows = {f"loss, steps 1-{first}": losses[0], f"loss, steps {second + 1}-{size.steps}": losses[2] - losses[1]}
    rows |= {name: counters[:, k] for k, name in enumerate(("SET pulses", "RESET pulses", "energy", "skipped pulses"))}
    for layer, cells in enumerate(training.arrays(), 1):
        weights = cells.weight.detach().flatten(1).double()
        rows |= {
            f"layer {layer} mean": weights.mean(1).cpu().numpy(),
            f"layer {layer} sd": weights.std(1).cpu().numpy(),
        }
        deciles = torch.stack([torch.quantile(own, torch.tensor(DECILES).to(own)) for own in weights]).cpu().numpy()
        rows |= {f"layer {layer} decile {k}": deciles[:, k - 1] for k in range(1, 10)}
    samples = data(size)
    training.run.stack.train(False)
    tested = training.run.accuracies(samples.test_x[: size.tested], samples.test_y[: size.tested])
    return rows | {"accuracy": np.array(tested)}
