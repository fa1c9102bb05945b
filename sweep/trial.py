"""One training to run, and the record that it leaves behind."""

import hashlib
import json
from dataclasses import dataclass, field, fields
from math import nan
from typing import Any

from vcm_sweep.sweep.seeds import TrialSeeds, children

MODEL_VERSION = 4
"""Raise it by hand with every change of the numbers that a trial gives. It is part of every key."""

STATUSES = ("ok", "diverged", "timeout", "oom", "preempted", "error", "cancelled")


@dataclass(frozen=True)
class Trial:
    """One training: a point of the design and a seed.

    Attributes:
        point: row of the design matrix.
        replicate: 0 for the first run of the point.
        factors: value of each factor, in its unit.
        inputs: all that determines the result besides the seed, in plain JSON types.
        seed: 63 bits, from which the seeds of the named random streams are drawn.
        deadline_s: wall time that the trial may take, counted as its share of its pack's; not part of the key.
        start: absolute path of the first weights, or "". The key holds the digest of their content, not the path.
        array_seed: seed of the trial whose array of cells is used again; None: the trial has an array of its own.
        pause_after: number of epochs after which the trial saves its state and stops with status preempted; 0: it does
            not. Not part of the key, so that a trial with another number continues from the saved state.
        copy: number of trials of the study with the same inputs and seed before it, which have records of their own.
    """

    point: int
    replicate: int
    factors: dict[str, float]
    inputs: dict[str, Any]
    seed: int
    deadline_s: float = 3600.0
    start: str = ""
    array_seed: int | None = None
    pause_after: int = 0
    copy: int = 0

    @property
    def key(self) -> str:
        """32 hex digits that identify the work: trials with equal keys have equal results."""
        content = {"inputs": self.inputs, "seed": self.seed, "model_version": MODEL_VERSION}
        if self.array_seed is not None:
            content["array_seed"] = self.array_seed
        if self.copy:
            content["copy"] = self.copy
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def seeds(self) -> TrialSeeds:
        """The seeds of the trial's named random streams."""
        own = children(self.seed)
        return own if self.array_seed is None else own._replace(device=children(self.array_seed).device)


@dataclass(frozen=True)
class Column:
    """A column of the records, in memory and in Parquet.

    Args:
        kind: type of the values: text, int32, int64, float64, bool, ``list of float64``, or ``float64 each``: one
            column per factor, in that factor's unit.
        meaning: what it holds, for the docs.
        unit: "" for a bare number.
        repeated: whether many rows have the same value, which Parquet then stores as a dictionary.
        of_cells: whether it is a figure of the trial's cells; it is empty for aihwkit's own devices.
    """

    name: str
    kind: str
    meaning: str
    unit: str = ""
    repeated: bool = False
    of_cells: bool = False


def _column(kind: str, meaning: str, *, unit: str = "", repeated: bool = False, of_cells: bool = False) -> Any:
    return {"kind": kind, "meaning": meaning, "unit": unit, "repeated": repeated, "of_cells": of_cells}


def _of_cells(kind: str, meaning: str, unit: str = "") -> Any:
    return _column(kind, meaning, unit=unit, of_cells=True)


@dataclass(frozen=True)
class TrialRecord:
    """The result of one training. Each field is a column of the results, and ``RECORD_COLUMNS`` says what it holds.

    Low accuracy is a result, not a failure: ``status`` is "ok" for every training that ended with finite numbers.
    """

    key: str = field(metadata=_column("text", "32 hex digits: equal keys are equal work with equal results"))
    point: int = field(
        metadata=_column("int64", "row of the design; negative for points that a search of tolerances chose")
    )
    replicate: int = field(metadata=_column("int32", "0 for the first run of the point", repeated=True))
    factors: dict[str, float] = field(metadata=_column("float64 each", "value of each factor, in its unit"))
    seed: int = field(metadata=_column("int64", "of the trial: all its random streams are drawn from it"))
    status: str = field(metadata=_column("text", f"one of {', '.join(STATUSES)}", repeated=True))
    reason: str = field(default="", metadata=_column("text", "why it stopped, or what it suffered from", repeated=True))
    accuracy: float = field(
        default=nan,
        metadata=_column("float64", "of the test set after the last epoch, all noise of reading on", unit="share"),
    )
    loss: float = field(default=nan, metadata=_column("float64", "mean training loss of the last epoch", unit="nat"))
    history: list[float] = field(default_factory=list, metadata=_column("list of float64", "accuracy after each epoch"))
    at_chance: bool = field(
        default=False,
        metadata=_column(
            "bool", "whether the accuracy is within what answers that ask nothing of the sample give", repeated=True
        ),
    )
    frac_at_bound: float = field(
        default=nan, metadata=_of_cells("float64", "share of the cells at a bound of their window, at the end")
    )
    pulses_set: int | None = field(default=None, metadata=_of_cells("int64", "SET pulses that were fired"))
    pulses_reset: int | None = field(default=None, metadata=_of_cells("int64", "RESET pulses that were fired"))
    energy_j: float | None = field(
        default=None, metadata=_of_cells("float64", "V I t of all programming pulses that were fired", "J")
    )
    asymmetry_mean: float | None = field(
        default=None,
        metadata=_of_cells(
            "float64", "mean over the cells as made of ln(step of a RESET / step of a SET) at w = 0", "ln"
        ),
    )
    asymmetry_sd: float | None = field(
        default=None, metadata=_of_cells("float64", "standard deviation of the same", "ln")
    )
    asymmetry_total: float | None = field(
        default=None,
        metadata=_of_cells("float64", "ln(sum of all their RESET steps / sum of all their SET steps) there", "ln"),
    )
    levels: float | None = field(
        default=None,
        metadata=_of_cells("float64", "window over twice the standard deviation of a reading at mid window"),
    )
    peak_temperature_k: float | None = field(
        default=None, metadata=_of_cells("float64", "highest temperature in a programming pulse", "K")
    )
    frac_outside_validity: float | None = field(
        default=None, metadata=_of_cells("float64", "share of the cells outside the range in which the model is valid")
    )
    reads: int = field(default=0, metadata=_column("int64", "vectors that were read"))
    wall_s: float = field(default=nan, metadata=_column("float64", "its share of the pack's wall time", unit="s"))
    cpu_s: float = field(default=nan, metadata=_column("float64", "its share of the pack's processor time", unit="s"))
    model_version: int = field(
        default=MODEL_VERSION,
        metadata=_column("int32", "of the numbers that a trial gives; part of every key", repeated=True),
    )
    versions: str = field(
        default="{}", metadata=_column("text", "of the packages that trained it, as JSON", repeated=True)
    )
    node: str = field(
        default="", metadata=_column("text", "host that trained it, empty where that is not known", repeated=True)
    )
    attempts: int = field(
        default=1, metadata=_column("int32", "how often it was begun: 1 for one that went through", repeated=True)
    )

    @classmethod
    def of(cls, trial: Trial, status: str, reason: str = "", **results: Any) -> "TrialRecord":
        """The record of a trial; ``results`` are further columns by name."""
        return cls(trial.key, trial.point, trial.replicate, trial.factors, trial.seed, status, reason, **results)

    @classmethod
    def failed(cls, trial: Trial, status: str, reason: str) -> "TrialRecord":
        """The record of a trial that has no result."""
        return cls.of(trial, status, reason)


RECORD_COLUMNS: dict[str, Column] = {own.name: Column(own.name, **own.metadata) for own in fields(TrialRecord)}
"""The columns by name, in their order in Parquet."""

FIGURES = tuple(column.name for column in RECORD_COLUMNS.values() if column.of_cells)
"""Names of the columns that are figures of a trial's cells."""
