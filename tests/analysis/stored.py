"""Synthetic records in a real results folder, through the store; nothing here was trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from vcm_sweep.sweep import Store, Study, TrialRecord, open_results
from vcm_sweep.sweep.designs.build import build_design

from .synthetic import Array

FACTORS = (
    ("r.d2d.sigma", 0.0, 0.08),
    ("l.d2d.sigma", 0.0, 0.10),
    ("r.c2c.direct", 0.0, 0.01),
    ("l.c2c.direct", 0.0, 0.02),
    ("pulse.amplitude.sigma", 0.0, 0.02),
    ("mismatch.global.mean", -0.5, 0.5),
    ("mismatch.d2d.sigma", 0.0, 0.5),
    ("read.noise.sigma", 0.0, 0.05),
    ("stuck.total.fraction", 0.0, 0.03),
    ("N_max.d2d.sigma", 0.0, 0.10),
    ("T_0.global.mean", 283.0, 323.0),
)


def accuracy(u: Array) -> Array:
    """An accuracy with a cliff, two strong factors and one that interacts; u: (rows, D) in [0, 1]."""
    harm = 0.9 * u[:, 0] ** 2 + 0.25 * u[:, 1] + (0.3 * u[:, 2] * u[:, 0] if u.shape[1] > 2 else 0.0)
    return np.asarray(0.1 + 0.85 / (1 + np.exp(9 * (harm - 0.75))))


def stored(  # noqa: PLR0913  (each differs in some test)
    folder: Path,
    n: int,
    *,
    factors: int = 4,
    replicates: int = 2,
    design: str = "",
    name: str = "synthetic",
    device: str = 'model = "explicit"',
    output: Callable[[Array], Array] = accuracy,
    diverge: float = 1.1,
    lists: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> Any:
    """Results of a finished study; trainings whose first factor, scaled to [0, 1], is above ``diverge`` diverged.

    ``lists``: by factor, values that it has in place of its range.
    """
    chosen = FACTORS[:factors]
    design = design if "method" in design else f'method = "sobol"\n{design}'
    tables = "".join(
        f'[[factor]]\nname = "{f}"\n'
        + (f'distribution = "discrete"\nvalues = {list(lists[f])}\n' if f in lists else f"range = [{low}, {high}]\n")
        for f, low, high in chosen
    )
    study = Study.from_text(
        f'[study]\nname = "{name}"\n[network]\nhidden = [8]\ndata = "digits"\nepochs = 4\nbatch = 32\nlr = 0.02\n'
        f"[device]\n{device}\n{tables}[design]\nn = {n}\nreplicates = {replicates}\n{design}"
    )
    laid_out = build_design(study)
    low, high = (np.array([factor[k] for factor in chosen]) for k in (1, 2))
    u = (laid_out.points - low) / (high - low)
    rng = np.random.default_rng(5)
    mean = output(u)
    one = TrialRecord.failed(next(iter(laid_out.trials())), "ok", "")
    values = np.clip(mean[:, None] + rng.normal(0, 0.02, (len(u), replicates)), 0.05, 1.0)
    names = [factor for factor, _, _ in chosen]
    with Store.create(study, folder) as store:
        for point, row in enumerate(values):
            plain = dict(zip(names, laid_out.points[point].tolist(), strict=True))
            store.append([_record(one, plain, point, r, float(v), u[point, 0] > diverge) for r, v in enumerate(row)])
    return open_results(folder)


def _record(
    one: TrialRecord, factors: dict[str, float], point: int, replicate: int, value: float, diverged: bool
) -> TrialRecord:
    common: dict[str, Any] = {
        "key": f"{point:016x}{replicate:016x}", "point": point, "replicate": replicate, "factors": factors,
        "seed": point * 100 + replicate, "wall_s": 1.5, "cpu_s": 1.4, "node": "worker-3",
        "versions": '{"vcm-sweep": "0.1.0", "torch": "2.13.0"}',
    }  # fmt: skip
    if diverged:
        return replace(one, **common, status="diverged", reason="the loss is not finite")
    return replace(
        one, **common, accuracy=value, loss=1 - value, history=[0.3 * value, 0.7 * value, 0.9 * value, value],
        at_chance=value < 0.15, frac_at_bound=0.01, pulses_set=1000, pulses_reset=900, energy_j=2e-5, reads=10**5,
    )  # fmt: skip
