"""Studies whose accuracy is known, a straight line or a plane with training noise; nothing is trained."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vcm_sweep.sweep import InProcessExecutor, Study, Trial, TrialRecord

HEAD = """
[study]
name = "linear"
seed = {seed}
[network]
hidden = [4]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
"""
TAIL = """
[design]
method = "sobol"
n = {n}
[tolerance]
{asked}
[run]
pack = 64
"""
RANGES = {
    "r.d2d.sigma": (0.0, 0.08),
    "l.d2d.sigma": (0.0, 0.1),
    "read.noise.sigma": (0.0, 0.05),
    "mismatch.d2d.sigma": (0.0, 0.5),
    "N_max.d2d.sigma": (0.0, 0.1),
    "mismatch.global.mean": (-0.5, 0.5),
}
NOMINAL = 0.95


def make_study(factors: Sequence[str], asked: str, seed: int = 1, n: int = 4) -> Study:
    tables = [f'[[factor]]\nname = "{name}"\nrange = {list(RANGES[name])}' for name in factors]
    return Study.from_text(HEAD.format(seed=seed) + "\n".join(tables) + TAIL.format(n=n, asked=asked))


def places(factors: dict[str, float]) -> dict[str, float]:
    """By factor, how far it is on the way from nominal, which is 0, to the end of its range."""
    return {name: abs(value) / RANGES[name][1] for name, value in factors.items()}


def linear(slopes: dict[str, float], sd: float) -> Callable[[dict[str, float], np.random.Generator], dict[str, Any]]:
    """A training whose accuracy is NOMINAL minus slope times place for every factor, plus noise."""

    def values(factors: dict[str, float], rng: np.random.Generator) -> dict[str, Any]:
        at = places(factors)
        return {"accuracy": NOMINAL - sum(slopes[name] * at[name] for name in at) + sd * rng.normal()}

    return values


class Counted:
    """A task that runs invented trainings and counts them by key."""

    def __init__(self, values: Callable[[dict[str, float], np.random.Generator], dict[str, Any]]) -> None:
        self.values = values
        self.keys: list[str] = []

    def __call__(self, trials: Sequence[Trial]) -> list[TrialRecord]:
        self.keys += [trial.key for trial in trials]
        return [
            TrialRecord(
                t.key, t.point, t.replicate, t.factors, t.seed,
                **({"status": "ok"} | self.values(t.factors, np.random.default_rng(t.seed))),
            )
            for t in trials
        ]  # fmt: skip

    def executor(self) -> InProcessExecutor:
        return InProcessExecutor(self)
