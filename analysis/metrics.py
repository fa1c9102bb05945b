"""What may be analysed: columns of the records, and outputs made of their statuses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.source import ResultsSource

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]

# Numbers of the record that a training ends with.
COLUMNS = (
    "accuracy",
    "loss",
    "energy_j",
    "frac_at_bound",
    "pulses_set",
    "pulses_reset",
    "reads",
    "asymmetry_mean",
    "asymmetry_sd",
    "levels",
    "peak_temperature_k",
    "frac_outside_validity",
    "wall_s",
    "cpu_s",
)
SHORT = {"energy": "energy_j"}
# Accuracy has two humps, chance and trained; these take them apart.
MADE = {
    "pulses": "pulses_set + pulses_reset",
    "p_diverged": "1 where the training diverged, else 0: its mean is the probability",
    "p_failed": "1 where the training failed in any way",
    "p_chance": "1 where the training diverged or ended at chance level",
    "accuracy_ok": "accuracy of the trainings that ended",
    "accuracy_trained": "accuracy of the trainings that ended above chance level",
}
METRICS = (*COLUMNS, *SHORT, *MADE)
FEW = 0.02
"""Share of trainings below which a hump is no hump, and its indices would be noise."""


@dataclass(frozen=True)
class Output:
    """A metric laid out by the design.

    Args:
        y: (units, rows, R) float64, NaN where there is no value. status: (units, rows, R) of each training, "" where
            there is no record. failed: (units, rows, R) trainings that failed to give a value.
        given: whether the metric is one of those trainings only that have it, so that the others are left out.
        chance: share of the trainings that diverged or ended at chance level.
    """

    metric: str
    y: Array
    status: NDArray[np.str_]
    failed: Marks
    given: bool = False
    chance: float = 0.0


def check_metric(metric: str) -> None:
    """Raise AnalysisError for a metric that does not exist."""
    if metric not in METRICS:
        raise AnalysisError(f"metric: {metric!r} is not one of {', '.join(METRICS)}")


def is_share(metric: str) -> bool:
    """Whether a metric is a share of one, so that it is read in per cent and its differences in points.

    >>> is_share("accuracy_ok"), is_share("p_diverged"), is_share("loss")
    (True, True, False)
    """
    return metric.startswith(("accuracy", "frac_", "p_"))


def two_humps(output: Output) -> tuple[str, ...]:
    """A sentence where accuracy is that of two kinds of trainings, some of which learned nothing; or none."""
    if output.metric not in ("accuracy", "loss") or not FEW <= output.chance <= 1.0 - FEW:
        return ()
    return (
        f"{100 * output.chance:.0f} % of the trainings diverged or ended at chance level, so {output.metric} has two "
        "humps: analyze --metric p_chance says what makes them fail, and --metric accuracy_trained what costs the "
        "others accuracy.",
    )


def read_output(results: ResultsSource, metric: str) -> Output:
    """The metric of all trainings.

    Raises:
        AnalysisError: an unknown metric, points that are not finished, or a column that was not recorded.
    """
    check_metric(metric)
    metric = SHORT.get(metric, metric)
    table = results.table()
    shape = np.asarray(results.blocks("accuracy")).shape
    place = table.column("point").to_numpy(), table.column("replicate").to_numpy()

    def laid_out(column: str, empty: object, kind: str) -> NDArray[Any]:
        flat = np.full((shape[0] * shape[1], shape[2]), empty, dtype=kind)
        flat[place] = np.asarray(table.column(column).to_pylist(), dtype=kind)
        return flat.reshape(shape)

    status = laid_out("status", "", "U16")
    ended, ran = status == "ok", status != ""
    unfinished = int((~ran[:, :, 0]).sum())
    if unfinished:
        raise AnalysisError(
            f"{results.study.name}: {unfinished} of {shape[0] * shape[1]} points are not finished; vcm-sweep resume "
            f"{getattr(results, 'folder', None) or 'with its folder'} goes on where it stopped"
        )
    at_chance = laid_out("at_chance", False, "bool").astype(bool)
    told, low = ended | (status == "diverged"), (ended & at_chance) | (status == "diverged")
    chance = float(low.sum() / max(1, told.sum()))
    if metric in ("p_diverged", "p_failed"):
        event = status == "diverged" if metric == "p_diverged" else ran & ~ended
        return Output(metric, np.where(ran, event, np.nan), status, np.zeros(shape, bool))
    if metric == "p_chance":
        return Output(metric, np.where(told, low, np.nan), status, ran & ~told)
    y = _values(results, metric, ended)
    if metric == "accuracy_trained":
        y = np.where(at_chance, np.nan, y)
    given = metric in ("accuracy_ok", "accuracy_trained")
    return Output(metric, y, status, ran & ~np.isfinite(y), given, chance)


def _values(results: ResultsSource, metric: str, ended: Marks) -> Array:
    columns = ("pulses_set", "pulses_reset") if metric == "pulses" else (metric,)
    if metric in ("accuracy_ok", "accuracy_trained"):
        columns = ("accuracy",)
    y = np.sum([np.asarray(results.blocks(column), dtype=np.float64) for column in columns], axis=0)
    empty = int((ended & ~np.isfinite(y)).sum())
    if empty and columns == ("accuracy",):
        raise AnalysisError(
            f"{metric}: {empty} of {int(ended.sum())} trainings that ended have no finite value, and no training "
            "writes such a record; vcm-sweep run with the study file and another --out trains anew"
        )
    if empty:
        raise AnalysisError(
            f"{metric}: {empty} of {int(ended.sum())} trainings that ended have no finite value; their device does not "
            "count it, so choose another metric"
        )
    return np.where(ended, y, np.nan)
