"""The metrics that can be analysed: columns of the records, and outputs computed from their statuses."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.sweep.trial import RECORD_COLUMNS

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.study import Study

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
Statuses = NDArray[np.str_]


@dataclass(frozen=True)
class Metric:
    """A metric: one number for each training.

    Args:
        name: the name that commands use. columns: columns of the records; their sum is the metric. meaning: in words.
        label: the name on a page. unit: "" for a bare number.
        share: whether it is a share between 0 and 1, which is read in per cent, and its differences in points.
        more_is_better: whether more is better, as for accuracy; else less is, as for losses and costs.
        event: only for a metric that is 1 where something happened to a training and else 0, so that its mean is a
            probability. A function of the statuses, and of whether trainings ended at chance level, that returns which
            trainings it happened to, and for which that is known.
        above_chance: whether trainings that ended at chance level have no value.
        given: whether only some trainings can have a value, so that the others are left out and not taken for failures.
        epoch: where the metric is one of each epoch, whose it is, from 1 on; its column is a list of them.
    """

    name: str
    columns: tuple[str, ...]
    meaning: str
    label: str
    unit: str = ""
    share: bool = False
    more_is_better: bool = False
    event: Callable[[Statuses, Marks], tuple[Marks, Marks]] | None = None
    above_chance: bool = False
    given: bool = False
    epoch: int = 0

    @property
    def binary(self) -> bool:
        """Whether the metric is 0 or 1 for each training, so that its mean is a probability."""
        return self.event is not None

    @property
    def meets_chance(self) -> bool:
        """Whether it is an accuracy, of trainings at chance level too, so that a few of them weigh heavily."""
        return (self.columns == ("accuracy",) or self.epoch > 0) and not self.above_chance

    def text(self, index: Index) -> str:
        """A value with its interval, as people read it.

        >>> METRICS["accuracy"].text(Index("nominal", 0.714, 0.66, 0.76))
        '71 % [66, 76]'
        """
        return index.percent() if self.share else index.number()

    def change(self, index: Index) -> str:
        """A difference of values with its interval, as people read it.

        >>> METRICS["accuracy"].change(Index("r.d2d.sigma", 0.0412, 0.036, 0.0461))
        '4.1 points [3.6, 4.6]'
        """
        return index.points() if self.share else index.number()


def _column(name: str, label: str = "", *, share: bool = False, more_is_better: bool = False) -> Metric:
    column = RECORD_COLUMNS[name]
    return Metric(name, (name,), column.meaning, label or name, column.unit, share, more_is_better)


def _diverged(status: Statuses, at_chance: Marks) -> tuple[Marks, Marks]:
    return status == "diverged", status != ""


def _failed(status: Statuses, at_chance: Marks) -> tuple[Marks, Marks]:
    return (status != "") & (status != "ok"), status != ""


def _chance(status: Statuses, at_chance: Marks) -> tuple[Marks, Marks]:
    ended, diverged = status == "ok", status == "diverged"
    return (ended & at_chance) | diverged, ended | diverged


_ENERGY = _column("energy_j", "programming energy (J)")
METRICS: dict[str, Metric] = {
    "accuracy": _column("accuracy", share=True, more_is_better=True),
    "loss": _column("loss"),
    "energy_j": _ENERGY,
    "frac_at_bound": _column("frac_at_bound", share=True),
    "pulses_set": _column("pulses_set"),
    "pulses_reset": _column("pulses_reset"),
    "reads": _column("reads"),
    "asymmetry_mean": _column("asymmetry_mean"),
    "asymmetry_sd": _column("asymmetry_sd"),
    "asymmetry_total": _column("asymmetry_total"),
    "levels": _column("levels", more_is_better=True),
    "peak_temperature_k": _column("peak_temperature_k"),
    "frac_outside_validity": _column("frac_outside_validity", share=True),
    "wall_s": _column("wall_s"),
    "cpu_s": _column("cpu_s"),
    "energy": _ENERGY,
    "pulses": Metric("pulses", ("pulses_set", "pulses_reset"), "pulses that were fired", "pulses"),
    # The distribution of accuracy has two humps, at chance level and trained; the following metrics separate them.
    "p_diverged": Metric(
        "p_diverged", (), "1 where the training diverged, else 0: its mean is the probability", "P(diverged)",
        share=True, event=_diverged,
    ),
    "p_failed": Metric(
        "p_failed", (), "1 where the training failed in any way", "P(failed)", share=True, event=_failed
    ),
    "p_chance": Metric(
        "p_chance", (), "1 where the training diverged or ended at chance level", "P(chance)",
        share=True, event=_chance,
    ),
    "accuracy_ok": Metric(
        "accuracy_ok", ("accuracy",), "accuracy of the trainings that ended", "accuracy of the trainings that ended",
        share=True, more_is_better=True, given=True,
    ),
    "accuracy_trained": Metric(
        "accuracy_trained", ("accuracy",), "accuracy of the trainings that ended above chance level",
        "accuracy of the trainings above chance", share=True, more_is_better=True, above_chance=True, given=True,
    ),
}  # fmt: skip
"""All metrics by the name that commands use; ``energy`` is short for ``energy_j``."""

_OF_AN_EPOCH = re.compile(r"accuracy_epoch_([1-9]\d{0,5})")
AFTER_AN_EPOCH = "accuracy_epoch_K"
"""How the metrics are called that are not in the table: the accuracy after epoch K, a whole number from 1 on."""

FEW = 0.02
"""If fewer trainings than this share lie in a hump, it does not count as one: its indices would be noise."""

# Of normal noise, none of a million points is so many times as far from the median as nine tenths are from one tenth.
_FAR = 2.0


@dataclass(frozen=True)
class Output:
    """The values of a metric for all trainings, in the layout of the design.

    Args:
        y: (units, rows, R) float64 values, NaN where there is none. status: (units, rows, R) status of each training,
            "" where there is no record. failed: (units, rows, R) whether the training was run but has no value.
        low: (units, rows, R) whether the training diverged or ended at chance level. chance: their share.
    """

    metric: Metric
    y: Array
    status: Statuses
    failed: Marks
    low: Marks
    chance: float = 0.0

    def only(self, units: Marks) -> "Output":
        """Of some units alone; units: (all units,) a mask."""
        low, told = self.low[units], np.isin(self.status[units], ("ok", "diverged"))
        chance = float(low.sum()) / max(1, int(told.sum()))
        return Output(self.metric, self.y[units], self.status[units], self.failed[units], low, chance)


def find_metric(name: str) -> Metric:
    """The metric of this name.

    Raises:
        AnalysisError: there is no such metric.

    >>> find_metric("energy").label, find_metric("p_diverged").share, find_metric("accuracy_epoch_3").label
    ('programming energy (J)', True, 'accuracy after epoch 3')
    """
    if name in METRICS:
        return METRICS[name]
    if found := _OF_AN_EPOCH.fullmatch(name):
        label = f"accuracy after epoch {found[1]}"
        return Metric(name, ("history",), label, label, share=True, more_is_better=True, epoch=int(found[1]))
    raise AnalysisError(f"metric: {name!r} is not one of {', '.join(METRICS)}, {AFTER_AN_EPOCH} (K = 1, 2, ...)")


def metric_of(name: str, study: "Study") -> Metric:
    """The metric of this name, if trainings of the study will have it.

    Raises:
        AnalysisError: there is no such metric, or the epoch is after the last.
    """
    found = find_metric(name)
    if found.epoch > study.network.epochs and "network.epochs" not in [factor.name for factor in study.factors]:
        raise AnalysisError(
            f"metric: {name} is after the last of {study.network.epochs} epochs of {study.name}: choose an earlier one"
        )
    return found


def as_metric(name: str) -> Metric:
    """The metric of this name; for any other name, for example of a tolerance, one that is read as a bare number."""
    try:
        return find_metric(name)
    except AnalysisError:
        return Metric(name, (), "", name)


def beyond_a_cliff(output: Output) -> str:
    """A sentence if a few points lie far from all others, so that an output that hardly varies may fall off a cliff."""
    if output.metric.binary:
        return ""
    rows = output.y.reshape(-1, output.y.shape[2])
    means = np.nanmean(rows[np.isfinite(rows).any(axis=1)], axis=1)
    middle, spread = float(np.median(means)), float(np.subtract(*np.quantile(means, [0.9, 0.1])))
    far = int((np.abs(means - middle) > _FAR * spread).sum())
    if not far:
        return ""
    return (
        f"{far} of {means.size} points lie far from all others, as beyond a cliff, and so few do not tell how much of "
        "the ranges it takes; vcm-sweep extend meets it more often; --metric p_chance asks what makes trainings fail"
    )


def two_humps(output: Output) -> tuple[str, ...]:
    """One sentence if the distribution of accuracy has two humps, because some trainings learned nothing; else ()."""
    whole = output.metric.meets_chance and not output.metric.given
    if not (whole or output.metric.name == "loss") or not FEW <= output.chance <= 1.0 - FEW:
        return ()
    return (
        f"{100 * output.chance:.0f} % of the trainings diverged or ended at chance level, so {output.metric.name} has "
        "two humps: analyze --metric p_chance says what makes them fail, and --metric accuracy_trained what costs the "
        "others accuracy. With two humps the intervals of weak factors are too narrow below 256 base blocks.",
    )


def read_output(results: "Results", metric: str, *, partly: bool = False) -> Output:
    """The values of a metric for all trainings of a study; ``partly``: points may be without one.

    Raises:
        AnalysisError: an unknown metric, points that are not finished, or a column that was not recorded.
    """
    wanted = find_metric(metric)
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
    if unfinished and not partly:
        raise AnalysisError(
            f"{results.study.name}: {unfinished} of {shape[0] * shape[1]} points are not finished; vcm-sweep resume "
            f"{shlex.quote(str(results.folder))} goes on where it stopped"
        )
    at_chance = laid_out("at_chance", False, "bool").astype(bool)
    low, told = _chance(status, at_chance)
    chance = float(low.sum()) / max(1, int(told.sum()))
    if wanted.event:
        happened, known = wanted.event(status, at_chance)
        return Output(wanted, np.where(known, happened, np.nan), status, ran & ~known, low)
    if wanted.epoch:
        histories = [values or [] for values in table.column("history").to_pylist()]
        y = np.full((shape[0] * shape[1], shape[2]), np.nan)
        y[place] = [values[wanted.epoch - 1] if len(values) >= wanted.epoch else np.nan for values in histories]
        y = np.where(ended, y.reshape(shape), np.nan)
        _refuse_later_epochs(wanted, y, ended, max(map(len, histories), default=0))
    else:
        y = _values(results, wanted, ended)
    if wanted.above_chance:
        y = np.where(at_chance, np.nan, y)
    return Output(wanted, y, status, ran & ~np.isfinite(y), low, chance)


def _values(results: "Results", metric: Metric, ended: Marks) -> Array:
    y = np.sum([np.asarray(results.blocks(column), dtype=np.float64) for column in metric.columns], axis=0)
    empty = int((ended & ~np.isfinite(y)).sum())
    if empty and metric.columns == ("accuracy",):
        raise AnalysisError(
            f"{metric.name}: {empty} of {int(ended.sum())} trainings that ended have no finite value, and no training "
            "writes such a record; vcm-sweep run with the study file and another --out trains anew"
        )
    if empty:
        raise AnalysisError(
            f"{metric.name}: {empty} of {int(ended.sum())} trainings that ended have no value of it (its records are "
            "older than this figure, the device does not count it, or levels have no read noise): choose another"
        )
    return np.where(ended, y, np.nan)


def _refuse_later_epochs(metric: Metric, y: Array, ended: Marks, epochs: int) -> None:
    if missing := int((ended & ~np.isfinite(y)).sum()):
        raise AnalysisError(
            f"{metric.name}: {missing} of {int(ended.sum())} trainings that ended have fewer epochs than "
            f"{metric.epoch} (the longest {epochs}): choose an earlier one, or accuracy, which is that after the last"
        )
