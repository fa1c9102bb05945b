"""The limits design: each factor alone at the ends of its range, against the nominal device with the same seeds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.vcm_device import INTERVENTIONS
from vcm_sweep.sweep.designs.design import Design
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import left_out
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.aihwkit_device import build_compiled_device
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.study.tables.intervention import nominal_table

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.study import Study

# Mechanisms that change the step of a pulse: only their cost can go through the cells' mismatch or speed.
_OF_STEPS = (
    "d2d", "c2c", "mismatch", "pulse_error", "set_voltage_v", "reset_voltage_v", "pulse_s", *CellParameters.names(),
)  # fmt: skip


@dataclass(frozen=True)
class LimitsRow:
    """What a row of a block differs by from the nominal device, which is the row with no factor.

    Attributes:
        factor: name; "" for the nominal device. end: "low" or "high". level: its value there, in its unit.
        arm: the intervention, one of vcm_sweep.device's INTERVENTIONS; "" for the device with the factor as it is.
    """

    factor: str = ""
    end: str = ""
    level: float = math.nan
    arm: str = ""


class LimitsDesign(Design):
    """One seed per block: the nominal device, then for each factor and end the device with that factor there alone.

    The nominal value of a factor is what the study's [device] and [network] give without it, 0 where its mechanism is
    off. An end is run if it lies on its own side of that: "low" only below the nominal value, "high" only above.
    With ``arms = "mediation"`` four rows of interventions follow each row of a factor that changes the pulses' steps.

    Attributes:
        rows: of a block. nominal: value of each factor in the nominal device.

    Example:
        >>> from vcm_sweep.sweep import Study
        >>> from vcm_sweep.sweep.running.limits_study import limits_study
        >>> design = LimitsDesign(limits_study(Study.from_toml("studies/demo.toml"), n=16))
        >>> [(row.factor, row.level) for row in design.rows[1:4]]
        [('mismatch.global.mean', -0.5), ('mismatch.global.mean', 0.5), ('mismatch.d2d.sigma', 0.5)]
        >>> len({trial.seed for trial in design.trials()}), len(design)
        (16, 112)
    """

    method = "limits"
    unit = "seeds"

    def __init__(self, study: "Study") -> None:
        self.nominal = {factor.name: nominal_value(study, factor) for factor in study.factors}
        self.rows = tuple(_rows(study, self.nominal))
        self._nominal_device = nominal_table(study.inputs(self.nominal)["device"])
        super().__init__(study)

    @property
    def block(self) -> int:
        """The nominal row and those of all factors."""
        return len(self.rows)

    def sample(self) -> NDArray[np.float64]:
        return self.scaled(self.points)

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(rows, D) factor values; nominal ones may lie outside of what the factors' distributions give."""
        block = [
            [row.level if row.factor == name else value for name, value in self.nominal.items()] for row in self.rows
        ]
        return np.tile(np.array(block), (self.study.design.n, 1))

    @cached_property
    def copies(self) -> NDArray[np.int64]:
        """(rows,) of 0: the rows of a block differ in their values or in their intervention."""
        return np.zeros(self.rows_in_all, np.int64)

    def inputs_of(self, point: int, factors: dict[str, float]) -> dict[str, Any]:
        return self._intervened(self.rows[point % self.block], super().inputs_of(point, factors))

    def _intervened(self, row: LimitsRow, inputs: dict[str, Any]) -> dict[str, Any]:
        if not row.arm:
            return inputs
        intervention = {"kind": row.arm, "nominal": self._nominal_device}
        return inputs | {"device": inputs["device"] | {"intervention": intervention}}

    def check(self) -> None:
        """Raise StudyError for an intervention on cells that do not allow it."""
        if self.study.design.arms != "mediation":
            return
        if "intervention" in self.study.device:
            raise StudyError("[device.intervention] is set by arms = 'mediation' itself: leave one of the two out")
        for point, row in enumerate(self.rows):
            if row.arm:
                try:
                    build_device(self.trial(point, 0).inputs["device"])
                except DeviceError as error:
                    raise StudyError(f"[design] arms = 'mediation', {row.factor} at {row.level:g}: {error}") from None


def nominal_value(study: "Study", factor: Factor) -> float:
    """What the study gives a factor without varying it, in its unit; 0 where its mechanism is off.

    Raises:
        StudyError: the study gives a word there, or a number that means something else than the factor's, such as the
            0 of train_samples; or the factor's values have no order, so that it has no ends.
    """
    if not factor.law.ordered:
        raise StudyError(
            f"factor {factor.name}: distribution = {factor.law.name!r} has choices without an order, so there are no "
            "ends to go to from its nominal value: leave the factor out, or give 'discrete' if its values have one"
        )
    root, *path = factor.path
    if path[0] == "settings":
        device = build_compiled_device(study.device["aihwkit"], study.device["settings"])
        return float(getattr(device, path[-1]))
    value: Any = study.inputs({})[root]
    for key in path:
        value = value.get(key, {})
    if value == {}:
        value = left_out(factor.path)
    try:
        return factor.comparable(factor.value_of(value))
    except ValueError:
        raise StudyError(
            f"[{'.'.join(factor.path[:-1])}] {path[-1]} = {value!r} is no value of {factor.name}, so it has no nominal "
            "one: give one"
        ) from None


def is_mediated(study: "Study", factor: Factor) -> bool:
    """Whether a factor changes the steps of pulses, so that it has an intervention."""
    return factor.path[0] == "device" and is_physical(study.device) and factor.path[1] in _OF_STEPS


def _rows(study: "Study", nominal: dict[str, float]) -> Iterator[LimitsRow]:
    yield LimitsRow()
    for factor in study.factors:
        ends = {"low": factor.low, "high": factor.high}
        if factor.low >= nominal[factor.name]:
            del ends["low"]
        if factor.high <= nominal[factor.name]:
            del ends["high"]
        arms = INTERVENTIONS if study.design.arms == "mediation" and is_mediated(study, factor) else ()
        for end, level in ends.items():
            for arm in ("", *arms):
                yield LimitsRow(factor.name, end, level, arm)
