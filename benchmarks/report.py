"""Time what a report costs as the number of records grows: seconds to write it, and megabytes of the page.

    OMP_NUM_THREADS=1 python benchmarks/report.py [--n 256 4096]

The records are invented (a smooth function of the factors, plus noise) and stored as a run stores them; the report is
then written from the folder. The browser is not measured: the page draws only the pictures that are on the screen.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from vcm_sweep.analysis import write_report
from vcm_sweep.sweep import Store, Study, TrialRecord, build_design, open_results

STUDY = """
[study]
name = "made-up"
[network]
hidden = [8]
data = "digits"
epochs = 10
batch = 32
lr = 0.02
{factors}
[design]
method = "sobol"
n = {n}
replicates = 2
"""
NAMES = ("r.d2d.sigma", "l.d2d.sigma", "N_max.d2d.sigma", "N_min.d2d.sigma", "mismatch.d2d.sigma", "read.noise.sigma",
         "pulse.amplitude.sigma", "pulse.width.sigma")  # fmt: skip


def stored(n: int, folder: Path) -> int:
    """Store the records of 2 n (8 + 2) trainings, and return how many there are."""
    factors = "".join(f'[[factor]]\nname = "{name}"\nrange = [0.0, 0.05]\n' for name in NAMES)
    study = Study.from_text(STUDY.format(factors=factors, n=n))
    random, weights = np.random.default_rng(1), np.linspace(1.0, 0.0, len(NAMES))
    design = build_design(study)
    with Store.create(study, folder) as store:
        for trial in design.trials():
            u = np.array(list(trial.factors.values())) / 0.05
            accuracy = float(0.95 - 0.1 * weights @ u**2 + 0.01 * random.normal())
            store.append([
                TrialRecord(
                    trial.key, trial.point, trial.replicate, trial.factors, trial.seed, "ok", accuracy=accuracy,
                    history=[accuracy * (1 - 0.5**k) for k in range(1, 11)], energy_j=1e-5, wall_s=1.0, cpu_s=1.0,
                )
            ])  # fmt: skip
    return len(design)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, nargs="+", default=[256, 4096], help="base points, a row for each")
    sizes = parser.parse_args().n
    print("| trainings | report written in | report.html |\n|---|---|---|")
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            count = stored(n, Path(folder) / "run")
            began = time.perf_counter()
            page = write_report(open_results(Path(folder) / "run"), folder)
            print(f"| {count:,} | {time.perf_counter() - began:.1f} s | {page.stat().st_size / 1e6:.2f} MB |")


if __name__ == "__main__":
    main()
