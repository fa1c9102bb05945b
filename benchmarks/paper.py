"""Train the noise-free baseline of arXiv 2403.06746 on our cells: MNIST, 784-256-128-10, 30 epochs, weights from 0.

    python benchmarks/paper.py described|published [--epochs 30] [--repeats 5] [--data-dir ROOT] [--smoke]

``described`` is the mapping from current to weight in the paper's text: +-1.5, clamped to the window. ``published`` is
the one in the published code: +-0.6, without a window. The results go to docs/paper/<mapping>.json. After an
interruption the same call continues.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

import torch

from vcm_sweep.sweep import Study, Trial, train

ROOT = Path(__file__).parents[1]
MAPPINGS = {
    "described": "w_min = -1.5\nw_max = 1.5\nclamped = true",
    "published": "w_min = -0.6\nw_max = 0.6\nclamped = false",
}
STUDY = """
[study]
name = "paper"
[network]
data = "mnist"
hidden = [256, 128]
epochs = {epochs}
batch = 32
lr = 0.05
lr_step_epochs = 10
lr_gamma = 0.5
init = 0.0
[device]
model = "explicit"     # the paper's current
dw_min = 1e-4
[device.periphery]
{mapping}
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.3]
[[factor]]
name = "l.d2d.sigma"
range = [0.0, 0.3]
[design]
method = "sobol"
n = 2
"""


def main() -> None:
    """Train the repeats side by side and print what they reach."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mapping", choices=MAPPINGS)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data-dir", default=os.environ.get("VCM_SWEEP_DATA"))
    parser.add_argument("--smoke", action="store_true", help="see that it runs: 64 samples, and nothing is written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = STUDY.format(epochs=arguments.epochs, mapping=MAPPINGS[arguments.mapping])
    if arguments.smoke:
        text = text.replace("batch = 32", "batch = 32\ntrain_samples = 64\ntest_samples = 64")
    study = Study.from_text(text)
    inputs = study.inputs({})
    # A study must have factors, so two stand in the text; the baseline itself has no spread at all.
    inputs["device"]["d2d"] = {}
    trials = [Trial(0, k, {}, inputs, 1000 + k, 1e6) for k in range(arguments.repeats)]
    checkpoints = None if arguments.smoke else str(ROOT / "build" / "paper")
    records = train(trials, arguments.data_dir, checkpoints=checkpoints, checkpoint_s=120)
    accuracies = [100 * record.accuracy for record in records]
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else float("nan")
    print(f"{arguments.mapping}: {statistics.mean(accuracies):.2f} % mean, {spread:.2f} standard deviation", accuracies)
    if arguments.smoke:
        return
    kept = (
        "status",
        "accuracy",
        "history",
        "pulses_set",
        "pulses_reset",
        "energy_j",
        "frac_at_bound",
        "cpu_s",
        "versions",
    )
    folder = ROOT / "docs" / "paper"
    folder.mkdir(exist_ok=True)
    content = {"inputs": inputs, "records": [{name: getattr(record, name) for name in kept} for record in records]}
    (folder / f"{arguments.mapping}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
