"""All tables of a study file and their declared fields, for code that prints or checks them without reading a file."""

from collections.abc import Mapping

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.vcm_device import Intervention
from vcm_sweep.sweep.study.conditions import CONDITION_FIELDS
from vcm_sweep.sweep.study.factor_table import FACTOR_FIELDS
from vcm_sweep.sweep.study.study import STUDY_FIELDS
from vcm_sweep.sweep.study.tables.aihwkit_fields import IO, MAPPING, UPDATE
from vcm_sweep.sweep.study.tables.design import DesignSpec
from vcm_sweep.sweep.study.tables.device import CELL_FIELD, DEVICE_FIELDS, MAPPING_FIELD
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.run import RunSpec
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec
from vcm_sweep.sweep.study.tables.variability import ALONE, CORRELATION, NAMED, STUCK

PLAIN: dict[str, Mapping[str, Declared]] = {
    "study": STUDY_FIELDS,
    "network": declared(NetworkSpec),
    "factor": FACTOR_FIELDS,
    "condition": CONDITION_FIELDS,
    "design": declared(DesignSpec),
    "run": declared(RunSpec),
    "tolerance": declared(ToleranceSpec),
}
"""All tables but [device], by name."""

CELL: Mapping[str, Declared] = declared(CellParameters)
"""Fields of [device] that are parameters of the cell."""

DEVICE: Mapping[str, Declared] = {**DEVICE_FIELDS, **CELL_FIELD}
"""All fields of [device] that are not tables, including the cell's parameters."""

LAYER: dict[str, Mapping[str, Declared]] = {"io": IO, "update": UPDATE, "mapping": MAPPING}
"""Sub-tables of [device] for the layer, not the cell."""

PERIPHERY: Mapping[str, Declared] = {**MAPPING_FIELD, **declared(Periphery)}
INTERVENTION: Mapping[str, Declared] = declared(Intervention)

BY_NAME: dict[str, tuple[tuple[str, ...], Mapping[str, Declared]]] = {
    kind: (names, declared(mechanism)) for kind, (mechanism, names) in NAMED.items()
}
"""Sub-tables of [device] that hold one table per name, as d2d does for parameters: (allowed names, fields)."""

MECHANISMS: dict[str, Mapping[str, Declared]] = {
    **{kind: declared(mechanism) for kind, mechanism in ALONE.items()},
    "stuck": STUCK,
    "correlation": CORRELATION,
}
"""The other sub-tables of [device] for what varies."""
