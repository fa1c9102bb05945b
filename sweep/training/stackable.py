"""Which trials can be trained in one stack: those that agree in all that has one value for the whole stack."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.aihwkit_fields import IO

# Tables that hold for a stack, by their place in a trial's inputs, and what may differ between its trials all the same.
# Everything else of [device] is of the cells, and each trial has its own.
_TABLES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("network",): ("lr", "lr_step_epochs", "lr_gamma", "init"),
    ("device", "io"): tuple(name for name, field in IO.items() if field.kind == "number"),
    ("device", "update"): ("desired_bl",),
    ("device", "mapping"): (),
    ("device", "aihwkit"): (),
}


def stack_key(inputs: Mapping[str, Any]) -> str:
    """Trials with equal keys can be stacked.

    >>> one, other = ({"network": {"batch": 8, "lr": lr}, "device": {"pulse_s": lr}} for lr in (0.1, 0.2))
    >>> stack_key(one) == stack_key(other), stack_key(one) == stack_key({"network": {"batch": 9}, "device": {}})
    (True, False)
    """
    held = []
    for path, free in _TABLES.items():
        table: Any = inputs
        for name in path:
            table = table.get(name)
            if table is None:
                break
        held.append({k: v for k, v in table.items() if k not in free} if isinstance(table, Mapping) else table)
    return json.dumps(held, sort_keys=True)


def splits_packs(factor: Factor) -> bool:
    """Whether trials that differ in a factor cannot be stacked, so that packs hold one value of it each."""
    return any(factor.path[: len(table)] == table and factor.path[-1] not in free for table, free in _TABLES.items())


def splitting(factors: Iterable[Factor]) -> list[str]:
    """Names of the factors by which packs are split."""
    return [factor.name for factor in factors if splits_packs(factor)]
