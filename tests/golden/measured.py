"""The numbers that golden files hold and tests compare with: keys, trainings, analyses, a layer."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vcm_sweep.sweep import Study, Trial, TrialRecord, build_design, train

HERE = Path(__file__).parent
STUDIES = HERE.parents[1] / "studies"
TRAININGS = ("explicit", "full", "intervention")

# Columns of a record that follow from the trial alone, and not from the machine's clock, name or installation. Those in
# _CLOSE depend in their last bits on the machine's arithmetic, see README.md.
_EXACT = (
    "key", "point", "replicate", "seed", "status", "reason", "accuracy", "history", "at_chance", "frac_at_bound",
    "pulses_set", "pulses_reset", "reads", "model_version",
)  # fmt: skip
_CLOSE = ("loss", "energy_j", "asymmetry_mean", "asymmetry_sd", "levels", "peak_temperature_k", "frac_outside_validity")


def keys(path: Path) -> dict[str, Any]:
    """The digest of a study, and of its trials' keys the number, a hash over all, the first and the last three."""
    study = Study.from_toml(path)
    found = [trial.key for trial in build_design(study).trials()]
    return {
        "digest": study.digest,
        "trials": len(found),
        "sha256_of_keys": hashlib.sha256("\n".join(found).encode()).hexdigest(),
        "first": found[:3],
        "last": found[-3:],
    }


def trials(name: str) -> list[Trial]:
    """Two trials of a golden study."""
    design = build_design(Study.from_toml(HERE / f"{name}.toml"))
    return [design.trial(point, 0) for point in (1, 2)]


def first_epoch(chosen: Sequence[Trial], folder: Path) -> list[TrialRecord]:
    """Train for one epoch, leave the state of each trial in a folder, and return the records of paused trials."""
    return train([replace(trial, pause_after=1) for trial in chosen], checkpoints=str(folder))


def plain(record: TrialRecord) -> dict[str, Any]:
    """The columns of a record that the golden files keep, as JSON types."""
    return {"exact": _some(record, _EXACT), "close": _some(record, _CLOSE)}


def _some(record: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in names}
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}


def arithmetic() -> str:
    """A digest of how this machine rounds, from results of torch's and MKL's vector code for this CPU.

    Another order of sums, or other polynomials for exp and log, change the last bits. Compiled kernels are not
    included: numba gave the same bits for a generic x86-64, Haswell and Sapphire Rapids.
    """
    digest = hashlib.sha256(torch.backends.cpu.get_cpu_capability().encode())
    generator = torch.Generator().manual_seed(1)
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(96, 64, generator=generator, dtype=dtype) + 0.01
        weights = torch.rand(2, 8, 64, generator=generator, dtype=dtype) - 0.5
        by_trial = torch.matmul(x.reshape(2, 48, 64), weights.transpose(1, 2))
        results = [by_trial, x @ weights[0].T, torch.log_softmax(by_trial, -1), torch.sigmoid(by_trial), x.sum(0)]
        results += [function(x) for function in (torch.exp, torch.log, torch.expm1, torch.sqrt, torch.asin)]
        results += [x**-1.054, torch.randn(50, generator=generator, dtype=dtype)]
        for result in results:
            digest.update(result.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def read(name: str) -> Any:
    """A golden JSON file."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def write(name: str, content: Any) -> None:
    """Write a golden JSON file."""
    (HERE / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def plain_indices(result: Any) -> dict[str, list[list[Any]]]:
    """The indices of an analysis by kind: factor, partner, value, low, high, floor."""
    return {
        kind: [[index.factor, index.partner, index.value, index.low, index.high, index.floor] for index in indices]
        for kind, indices in result.indices.items()
    }
