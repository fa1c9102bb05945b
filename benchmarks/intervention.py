"""Time what an intervention costs: the same trainings without and in each of the four arms, as ratios of CPU time.

    OMP_NUM_THREADS=1 python benchmarks/intervention.py [--rounds 5] [--smoke]

The factor is the cell-to-cell spread of the radius at the end of its range, in studies/mismatch*.toml. The arms take
turns, because other work on the machine would otherwise favour one of them.
"""

import argparse
import re
import statistics
import time
from pathlib import Path

import torch

from vcm_sweep.sweep import Study, build_design, train

STUDIES = Path(__file__).parents[1] / "studies"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="see that it runs: trainings that measure nothing")
    arguments = parser.parse_args()
    rounds = 1 if arguments.smoke else arguments.rounds
    torch.set_num_threads(1)
    print("| study | arm | CPU time of a training, ratio to plain (median of rounds, least to most) |\n|---|---|---|")
    for name in ("mismatch", "mismatch-explicit"):
        text = (STUDIES / f"{name}.toml").read_text()
        if arguments.smoke:
            text = re.sub(r"(?m)^epochs = .*$", "epochs = 1\ntrain_samples = 64\ntest_samples = 64", text)
        design = build_design(Study.from_text(text))
        rows = {row.arm: k for k, row in enumerate(design.rows) if row.factor == "r.d2d.sigma" and row.end == "high"}
        spent: dict[str, list[float]] = {arm: [] for arm in rows}
        # The first round is not counted, because it compiles.
        for _ in range(rounds + 1):
            for arm, point in rows.items():
                began = time.process_time()
                train([design.trial(point, 0)])
                spent[arm].append(time.process_time() - began)
        for arm, seconds in spent.items():
            ratios = [one / plain for one, plain in zip(seconds, spent[""], strict=True)][1:]
            told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"| {name} | {arm or 'plain'} | {told if arm else f'{statistics.median(seconds[1:]):.2f} s'} |")


if __name__ == "__main__":
    main()
