"""What is done about failed trainings before an analysis, and the error where nothing may be done."""

import numpy as np

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.records.metrics import Metric
from vcm_sweep.analysis.results.failures import Array, Failures, Marks

POLICIES = ("fail", "drop-block", "worst-case")


def check_policy(policy: str) -> None:
    """Raise AnalysisError for a policy that does not exist."""
    if policy not in POLICIES:
        raise AnalysisError(f"policy: {policy!r} is not one of {', '.join(POLICIES)}")


def refusal(study: str, failures: Failures, what: str) -> AnalysisError:
    """The error of the policy ``fail``; ``what``: what would be biased if failed trainings were left out."""
    return AnalysisError(
        f"{study}: {failures.words()}, and leaving them out would bias the {what}; vcm-sweep run --retry runs them "
        "again, or narrow the ranges, or name a policy: drop-block or worst-case"
    )


def drop_blocks(y: Array) -> tuple[Array, Marks]:
    """The units in which every row has a value, and a mask of these units; y: (units, rows, R), NaN where one failed.

    A row keeps the replicates that did not fail; they move to the front, because methods need replicate 0.
    """
    keep = np.asarray(np.isfinite(y).any(axis=2).all(axis=1))
    rows = y[keep]
    order = np.argsort(~np.isfinite(rows), axis=2, kind="stable")
    return np.take_along_axis(rows, order, axis=2), keep


def fill_worst(y: Array, failed: Marks, metric: Metric) -> tuple[Array, float]:
    """The output with failed trainings at the worst value that any training had, and that value.

    Raises:
        AnalysisError: no training ended.
    """
    seen = y[np.isfinite(y) & ~failed]
    if not seen.size:
        raise AnalysisError(
            f"{metric.name}: no training ended, so there is no worst value to stand in for the failed ones"
        )
    worst = float(seen.min() if metric.more_is_better else seen.max())
    return np.where(failed, worst, y), worst
