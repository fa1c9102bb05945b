"""Section 5: trainings on the GPU have the distribution of the CPU's, and the bits that they must have."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from gpu_sections import reference
from gpu_sections.call import Call, Report
from gpu_sections.places import Gpu, place
from gpu_sections.stacks import DEVICES, SMALL, Sizes, Training, sizes
from gpu_sections.trial_figures import Rows, trial_figures

# About 40 figures in each of five comparisons: chance alone fails the first bound in one call of 700, the second in
# one of 50 or fewer, since the figures hang together.
MOST_Z, LEAST_P = 4.5, 1e-4
# The trials are others than the reference's, so that the two samples are independent.
SEEDS, SEEDS_ALONE, SEEDS_TWICE = 10_001, 20_001, 30_001
# Trials and steps of the runs that are compared bit by bit; the last quarter of the trials is frozen.
TWICE, STEPS_TWICE = 16, 50


def run(call: Call, report: Report) -> None:
    """Four devices against the reference, stacked against single trials, one run against another, frozen trials."""
    where, size = place(call), sizes(call)
    expected = reference.read(_file(call), size)
    _bits(where, size, report)
    stacked: Rows = {}
    for device in DEVICES:
        training = Training(size, device, size.compared, where.device, SEEDS)
        rows = trial_figures(training, size)
        stacked = stacked or rows
        _compare(f"{device}: {where.device} and reference", rows, expected[device], report)
    alone = [
        trial_figures(Training(size, "noise-free", 1, where.device, SEEDS_ALONE + k), size) for k in range(size.singles)
    ]
    single = {name: np.concatenate([rows[name] for rows in alone]) for name in stacked}
    _compare(f"noise-free: K = 1 and K = {size.compared}", single, stacked, report)


def _file(call: Call) -> Path:
    """The reference: what was carried here, or a rehearsal's own."""
    if not call.rehearse:
        assert call.carried is not None
        return call.carried / "reference.parquet"
    path = call.out / "reference.parquet"
    reference.make(path, SMALL, processes=1)
    return path


def z_of(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Welch's t as the normal quantile of the same probability, so that one bound serves small samples too.

    0 if both samples are one and the same number, infinite if they are two.

    >>> z_of(np.ones(5), np.ones(3)), z_of(np.ones(5), np.zeros(3))
    (0.0, inf)
    """
    if a.std() == b.std() == 0:
        return 0.0 if a[0] == b[0] else math.inf
    t = stats.ttest_ind(a, b, equal_var=False)
    return float(np.sign(t.statistic) * stats.norm.isf(max(t.pvalue, 1e-300) / 2))


def _compare(name: str, rows: Rows, others: Rows, report: Report) -> None:
    """A check that no figure's mean or distribution differs; the furthest ones are printed."""
    z = {figure: z_of(rows[figure], others[figure]) for figure in rows}
    p = {figure: float(stats.ks_2samp(rows[figure], others[figure]).pvalue) for figure in rows}
    report.figures[name] = {
        figure: {"z": z[figure], "p": p[figure], "means": [rows[figure].mean(), others[figure].mean()]}
        for figure in rows
    }
    furthest, least = max(z, key=lambda figure: abs(z[figure])), min(p, key=lambda figure: p[figure])
    # Written so that a NaN fails.
    far = [figure for figure in rows if not (abs(z[figure]) <= MOST_Z and p[figure] >= LEAST_P)]
    report.checks[name] = f"{len(far)} of {len(rows)} figures differ: {', '.join(far[:4])}" if far else ""
    report.lines.append(
        f"{name}: furthest z {z[furthest]:+.1f} ({furthest}), least p {p[least]:.1e} ({least}); accuracy "
        f"{rows['accuracy'].mean():.3f} and {others['accuracy'].mean():.3f}"
    )


def _bits(where: Gpu, size: Sizes, report: Report) -> None:
    """Two runs of one stack, put back in between, with a quarter of the trials frozen."""
    count, steps = min(TWICE, size.compared), min(STEPS_TWICE, size.steps)
    training = Training(size, "all that differs", count, where.device, SEEDS_TWICE)
    training.rates = [0.0 if 4 * k >= 3 * count else rate for k, rate in enumerate(training.rates)]
    before = training.states()
    runs = []
    for replayed in (True, True, False):
        training.put_back(before)
        with nullcontext() if replayed else training.one_by_one():
            training.take(steps)
        runs.append(training.states())
    first, second, one_by_one = runs
    frozen = [k for k, rate in enumerate(training.rates) if not rate]
    moved = [name for k in frozen for name in _differing(before[k], first[k])]
    report.checks["frozen trials keep every bit"] = f"changed: {', '.join(sorted(set(moved)))}" if moved else ""
    differ = [name for k in range(count) for name in _differing(first[k], second[k])]
    report.checks["two runs are equal bit for bit"] = f"differ: {', '.join(sorted(set(differ)))}" if differ else ""
    apart = [name for k in range(count) for name in _differing(first[k], one_by_one[k])]
    report.checks["replayed steps are those that the host starts one by one"] = (
        f"differ: {', '.join(sorted(set(apart)))}" if apart else ""
    )
    still = [k for k in range(count) if k not in frozen and not _differing(before[k], first[k])]
    report.checks["the others train"] = f"trials {still} did not change" if still else ""
    report.lines.append(
        f"bits: {len(frozen)} of {count} trials frozen, {'changed' if moved else 'unchanged'}; two runs of {steps} "
        f"steps {'differ' if differ else 'are equal'}"
    )


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of the tensors of a trial's state that are not equal; counts of calls are no part of a trial."""
    return [name for name in one if not name.endswith("calls") and not torch.equal(one[name], other[name])]
