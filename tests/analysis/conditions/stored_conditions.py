"""Records of a study of conditions with chosen accuracies, in a real results folder; nothing here was trained."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vcm_sweep.sweep import Store, Study, TrialRecord, build_design, open_results

HEAD = """
[study]
name = "{name}"
seed = {seed}
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[design]
method = "conditions"
baseline = "{baseline}"
replicates = {replicates}
"""


def stored(
    folder: Path, accuracies: Mapping[str, Sequence[float]], published: Mapping[str, str] | None = None,
    name: str = "made", seed: int = 1,
) -> Any:  # fmt: skip
    """Results with these accuracies by condition, the first one the baseline.

    An infinite accuracy is a training that diverged, NaN one that has not run; below 0.15 is chance level.

    Args:
        published: by condition, the lines of its table that say what was published.
    """
    text = HEAD.format(
        name=name, seed=seed, baseline=next(iter(accuracies)), replicates=max(map(len, accuracies.values()))
    )
    for k, condition in enumerate(accuracies):
        lines = (published or {}).get(condition, "")
        text += f'[[condition]]\nname = "{condition}"\nnetwork.lr = {0.02 + 0.01 * k}\n{lines}\n'
    study = Study.from_text(text)
    with Store.create(study, folder) as store:
        for trial in build_design(study).trials():
            values = accuracies[study.conditions[trial.point].name]
            value = values[trial.replicate] if trial.replicate < len(values) else math.nan
            if math.isnan(value):
                continue
            if math.isinf(value):
                store.append([TrialRecord.failed(trial, "diverged", "loss is not finite")])
                continue
            record = TrialRecord.of(
                trial, "ok", accuracy=value, loss=1 - value, history=[value], at_chance=value < 0.15, wall_s=1.0,
                cpu_s=1.0, frac_at_bound=0.1, pulses_set=10, pulses_reset=10, energy_j=1e-6,
            )  # fmt: skip
            store.append([record])
    return open_results(folder)
