"""Chooses and builds the stack that trains a pack of trials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.training.stack import Stack

if TYPE_CHECKING:
    from vcm_sweep.sweep.trial import Trial


def build_stack(trials: Sequence["Trial"], spec: Mapping[str, Any], shape: Sequence[int], classes: int) -> Stack:
    """The stack of trials that have the same network, on the CPU, with their first weights programmed.

    Args:
        trials: the trials, with their seeds and [device] tables.
        spec: canonical [network] table; its learning rate is not used.
        shape: shape of one sample.
        classes: number of scores.
    """
    tables = [trial.inputs["device"] for trial in trials]
    # Each import stands where it is used: VCM cells do not need aihwkit's compiled tiles, and the other way round.
    if is_physical(tables[0]):
        from vcm_sweep.sweep.training.cell_stack import CellStack

        return CellStack(trials, tables, spec, shape, classes)
    from vcm_sweep.sweep.training.compiled_stack import CompiledStack

    return CompiledStack(trials, tables, spec, shape, classes)
