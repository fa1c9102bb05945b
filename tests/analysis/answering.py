"""Studies that are run and stored like any other, but with known functions in place of training."""

from collections.abc import Callable, Sequence

import numpy as np

from vcm_sweep.sweep import InProcessExecutor, Trial, TrialRecord

from .synthetic import Array

TEXT = """
[study]
name = "known"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "read.noise.sigma"
range = [1e-3, 1e-1]
distribution = "loguniform"
[[factor]]
name = "l.d2d.sigma"
range = [0.0, 0.1]
[design]
method = "sobol"
n = 256
replicates = 2
"""


def answering(output: Callable[[Array], Array], array_sd: float = 0.0, training_sd: float = 1.0) -> InProcessExecutor:
    """An executor whose trials give a function of their factors, plus noise that follows from their seeds."""

    def task(pack: Sequence[Trial]) -> list[TrialRecord]:
        values = np.array([list(trial.factors.values()) for trial in pack])
        u = np.column_stack(
            [values[:, 0] / 0.08, values[:, 1] + 0.5, np.log(values[:, 2] / 1e-3) / np.log(100), values[:, 3] / 0.1]
        )
        noise = [
            array_sd * np.random.default_rng(trial.seeds.device).normal()
            + training_sd * np.random.default_rng(trial.seeds.init).normal()
            for trial in pack
        ]
        return [
            TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=float(y), loss=0.0)
            for t, y in zip(pack, output(u) + noise, strict=True)
        ]

    return InProcessExecutor(task)
