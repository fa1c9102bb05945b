"""From a canonical [device] table to the device, and to aihwkit's configuration of a layer."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vcm_sweep.device.aihwkit_engine import REMEDY, engine_fault
from vcm_sweep.device.declared import declared
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.seeds import ArraySeeds, NetworkSeeds
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.tables.aihwkit_device import build_compiled_device
from vcm_sweep.sweep.study.tables.intervention import build_intervention
from vcm_sweep.sweep.study.tables.variability import build_variability

if TYPE_CHECKING:
    from vcm_sweep.device.tile.config import VCMRPUConfig

# The behaviour of versions that did not have these fields, with the explicit model. If a table has exactly these
# values, they are left out of its canonical form, so that results of those versions keep their keys. Must never be
# changed.
FIRST: Mapping[str, Any] = {"method": "tabulated", "read_path": "nominal", "on_invalid": "record"}


def build_device(plain: dict[str, Any]) -> VCMDevice:
    """The device that a canonical [device] table describes; DeviceError if it is not valid."""
    return VCMDevice(
        parameters=CellParameters(**{name: plain[name] for name in CellParameters.names()}),
        variability=build_variability(plain),
        periphery=Periphery(**plain["periphery"]),
        model=plain["model"],
        **{key: plain[key] if key in plain else FIRST[key] for key in declared(VCMDevice)},
        intervention=build_intervention(plain["intervention"], build_device) if "intervention" in plain else None,
    )


def rpu_config(tables: list[dict[str, Any]], seeds: Sequence[ArraySeeds]) -> "VCMRPUConfig":
    """The aihwkit configuration of one network that stacks one trial per canonical [device] table and seed.

    ``mapping`` must be the same in all tables, as must the words of ``io``, and ``update`` but for desired_bl.

    Raises:
        StudyError: settings of aihwkit's that VCM tiles do not support.
    """
    from vcm_sweep.device.tile.config import VCMRPUConfig

    config = VCMRPUConfig(
        trials=len(tables), device=[build_device(table) for table in tables], seeds=NetworkSeeds(tuple(seeds))
    )
    _set_common(config, tables[0])
    # One object for all where they are equal: a tile looks at each of them in every pass.
    if any(table["io"] != tables[0]["io"] for table in tables):
        config.forward, config.backward = ([_io(table) for table in tables] for _ in range(2))
    if any(table["update"] != tables[0]["update"] for table in tables):
        config.update = [_update(table) for table in tables]
    return _checked(config)


def aihwkit_config(table: dict[str, Any]) -> Any:
    """The configuration of aihwkit's compiled tile, for a canonical [device] table that names an aihwkit device.

    Raises:
        StudyError: aihwkit's compiled engine does not work here.
    """
    from aihwkit.simulator.configs import SingleRPUConfig

    if fault := engine_fault():
        raise StudyError(
            f"[device] aihwkit = {table['aihwkit']!r} cannot be used here, since {fault}: {REMEDY}, or leave aihwkit "
            "out for VCM cells"
        )
    config = SingleRPUConfig(device=build_compiled_device(table["aihwkit"], table["settings"]))
    _set_common(config, table)
    return config


def check_layer(table: dict[str, Any]) -> None:
    """Raise StudyError if VCM tiles do not support the ``io``, ``update`` and ``mapping`` of a canonical table."""
    from vcm_sweep.device.tile.config import VCMRPUConfig

    config = VCMRPUConfig()
    _set_common(config, table)
    _checked(config)


def _checked(config: "VCMRPUConfig") -> "VCMRPUConfig":
    from aihwkit.exceptions import ConfigError

    try:
        config.check()
    except ConfigError as error:
        raise StudyError(f"[device] {error}") from None
    return config


def _set_common(config: Any, table: dict[str, Any]) -> None:
    from aihwkit.simulator.parameters.mapping import MappingParameter

    config.forward, config.backward = _io(table), _io(table)
    config.update = _update(table)
    config.mapping = MappingParameter(**table.get("mapping", {"max_input_size": 0, "max_output_size": 0}))


def _io(table: dict[str, Any]) -> Any:
    """aihwkit's settings of reading."""
    from aihwkit.simulator.parameters.io import IOParameters

    return IOParameters(**_typed(table["io"]))


def _update(table: dict[str, Any]) -> Any:
    """aihwkit's settings of the pulse trains."""
    from aihwkit.simulator.parameters.training import UpdateParameters

    return dataclasses.replace(UpdateParameters(), **_typed(table["update"]))


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a table in aihwkit's types."""
    from aihwkit.simulator.parameters import enums

    names = {
        "mv_type": enums.AnalogMVType,
        "bound_management": enums.BoundManagementType,
        "noise_management": enums.NoiseManagementType,
        "w_noise_type": enums.WeightNoiseType,
        "pulse_type": enums.PulseType,
    }
    whole = {"max_bm_factor": int}  # aihwkit's bindings accept only an integer there
    return {
        key: names[key][value] if key in names else whole.get(key, type(value))(value) for key, value in values.items()
    }
