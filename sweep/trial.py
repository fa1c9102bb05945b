"""One training to run, and the record that it leaves behind."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from .seeds import TrialSeeds, children

MODEL_VERSION = 3
"""Raised by hand with every change of the numbers that a trial gives; part of every key."""

STATUSES = ("ok", "diverged", "timeout", "oom", "preempted", "error", "cancelled")


@dataclass(frozen=True)
class Trial:
    """A point of the design and a seed.

    Attributes:
        point: row of the design matrix; replicate: 0 for the first run of the point.
        factors: value of each factor, in its unit.
        inputs: all that determines the result but the seed, plain JSON types.
        seed: 63 bits; the named streams are its children.
        deadline_s: wall time that the trial may take, as its share of its pack's; no part of the key.
        start: absolute path of the first weights, "" without; the key holds their digest, not their place.
        array_seed: seed of the trial whose array of cells is trained once more; None for an array of its own.
        pause_after: epochs after which it saves its state and stops, status preempted; 0 never. No part of the key:
            with another number it goes on from there.
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

    @property
    def key(self) -> str:
        """32 hex digits: equal keys are equal work with equal results."""
        content = {"inputs": self.inputs, "seed": self.seed, "model_version": MODEL_VERSION}
        if self.array_seed is not None:
            content["array_seed"] = self.array_seed
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def seeds(self) -> TrialSeeds:
        """The named random streams."""
        own = children(self.seed)
        return own if self.array_seed is None else own._replace(device=children(self.array_seed).device)


@dataclass(frozen=True)
class TrialRecord:
    """What one training left behind.

    Low accuracy is a result, not a failure: ``status`` is "ok" for every training that ended with finite
    numbers. ``accuracy`` is that of the test set after the last epoch, with all noise of reading on; ``history``
    that after each epoch. ``energy_j`` is the programming pulses', V I t; ``reads`` counts the vectors read.
    ``asymmetry_*``, ``levels``, ``peak_temperature_k`` and ``frac_outside_validity`` are of the arrays as they were
    made (vcm_sweep.device.ArrayFigures). Pulses, energy and these are None where the device does not count them
    (aihwkit's own). ``node`` is the host that trained it, "" where that is not known; ``attempts`` how often it was
    begun, 1 for one that went through.
    """

    key: str
    point: int
    replicate: int
    factors: dict[str, float]
    seed: int
    status: str
    reason: str = ""
    accuracy: float = float("nan")
    loss: float = float("nan")
    history: list[float] = field(default_factory=list)
    at_chance: bool = False
    frac_at_bound: float = float("nan")
    pulses_set: int | None = None
    pulses_reset: int | None = None
    energy_j: float | None = None
    asymmetry_mean: float | None = None
    asymmetry_sd: float | None = None
    levels: float | None = None
    peak_temperature_k: float | None = None
    frac_outside_validity: float | None = None
    reads: int = 0
    wall_s: float = float("nan")
    cpu_s: float = float("nan")
    model_version: int = MODEL_VERSION
    versions: str = "{}"
    node: str = ""
    attempts: int = 1

    @classmethod
    def failed(cls, trial: Trial, status: str, reason: str) -> "TrialRecord":
        """The record of a trial that has no result."""
        return cls(trial.key, trial.point, trial.replicate, trial.factors, trial.seed, status, reason)
