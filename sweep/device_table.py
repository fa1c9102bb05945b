"""From the [device] table of a study to the cells of a trial."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.integration import integrate
from vcm_sweep.device.jumps import refuse_nominal_jumps
from vcm_sweep.device.kinetics import rate
from vcm_sweep.device.parameters import CellParameters
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.seeds import ArraySeeds, NetworkSeeds
from vcm_sweep.device.vcm_device import VCMDevice

from .aihwkit_device import build_compiled_device, canonical_settings, check_compiled
from .aihwkit_fields import canonical_layer
from .errors import StudyError
from .fields import Fields
from .intervention_table import build_intervention, canonical_intervention
from .variability_table import build_variability, canonical_variability

if TYPE_CHECKING:
    from vcm_sweep.device.config import VCMRPUConfig

MODELS = ("explicit", "full", "tabulated")
"""Words for the current; "tabulated" is the full model with the method "tabulated"."""

CELL_FIELD: Mapping[str, Declared] = {
    "cell": Declared("text", "a cell of the library, or the path of a cell's TOML file; the default one without it", "")
}
"""The field of [device] from which its cell's parameters come, where it does not give them itself."""

DEVICE_FIELDS: Mapping[str, Declared] = {
    "model": Declared(
        "word",
        "the physics: full, of which tabulated is another word, or the fit of the paper, explicit",
        "tabulated",
        words=MODELS,
    ),
    **declared(VCMDevice),
    "read_path": dataclasses.replace(
        declared(VCMDevice)["read_path"],
        meaning="whose current is read: the cell's own, or the nominal cell's at its N, the default of explicit",
        default="cell",
    ),
    **declared(CellParameters),
}
"""The other fields of [device] that are no tables."""

# What the versions that did not know these words did, with the explicit model: left out of a canonical table where it
# holds, so that their results keep their keys. Never changed.
_FIRST: Mapping[str, Any] = {"method": "tabulated", "read_path": "nominal", "on_invalid": "record"}


def is_physical(plain: dict[str, Any]) -> bool:
    """Whether a canonical [device] table describes VCM cells, not a device of aihwkit's."""
    return "aihwkit" not in plain


def canonical_device(table: dict[str, Any]) -> dict[str, Any]:
    """The [device] table with every result-affecting field written out, checked against the cell's own rules.

    Mechanisms that are off are left out. A canonical table is its own canonical form. Nothing is simulated: see
    :func:`check_device`.

    Raises:
        StudyError: an unknown key, or a value that the cell refuses.
    """
    if "aihwkit" in table:
        return _canonical_aihwkit(table)
    fields = Fields(table, "device")
    nominal = _cell(fields)
    own: dict[str, Any] = {name: getattr(nominal, name) for name in CellParameters.names()}
    if table.get("model") == "explicit":
        own["read_path"] = "nominal"
    plain = _model(fields.all(DEVICE_FIELDS, **own))
    plain["periphery"] = _periphery(fields.table("periphery"))
    plain |= canonical_variability(fields)
    plain |= canonical_layer(fields)
    if "intervention" in fields.given:
        plain |= {"intervention": canonical_intervention(fields.table("intervention"), plain, canonical_device)}
    fields.finish()
    try:
        build_device(plain)
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    return plain


def _canonical_aihwkit(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device")
    name = fields.text("aihwkit")
    plain = {"aihwkit": name, "settings": canonical_settings(name, fields.table("settings"))}
    plain |= canonical_layer(fields)
    fields.finish()
    return plain


def check_device(plain: dict[str, Any]) -> None:
    """Raise StudyError for a canonical [device] table whose cells could not be trained; some pulses are simulated.

    A device of aihwkit's own is made once, by aihwkit.
    """
    if not is_physical(plain):
        check_compiled(aihwkit_config(plain))
        return
    if "intervention" in plain:
        try:
            check_device(plain["intervention"]["nominal"])
        except StudyError as error:
            raise StudyError(f"intervention.nominal: {error}") from None
    try:
        check_window(build_device(plain))
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None


def check_window(device: VCMDevice) -> None:
    """Raise DeviceError where one pulse carries the nominal cell across its whole window, or out of the model.

    Such a cell knows two states, or one: no learning rate would train it.
    """
    refuse_nominal_jumps(device)
    low, high = _nominal_window(device)
    nominal = device.parameters
    for what, start, voltage in (("set", low, device.set_voltage_v), ("reset", high, device.reset_voltage_v)):
        n = torch.tensor([start], dtype=torch.float64)
        if bool(torch.isnan(rate(voltage, n, nominal, device.model, validity=True)[0])):
            raise DeviceError(
                f"{what}_voltage_v = {voltage:g} V takes the nominal cell at N = {start:.3g} (1e26/m3) out of the "
                "hopping model (|gamma| >= 1, or a temperature not above 0 K), so that it has no rate: lower the "
                "voltage, or bring the cell's parameters nearer to the default cell's"
            )
        # A cell that comes to the model's end later in the pulse is for on_invalid to judge.
        end, _ = integrate(n, voltage, device.pulse_s, nominal, device.model, validity=True, on_invalid="record")
        after = float(end[0])
        share = abs(after - start) / (high - low)
        if share > 0.9:
            raise DeviceError(
                f"one {what.upper()} pulse of pulse_s = {device.pulse_s:g} s at {what}_voltage_v = {voltage:g} V "
                f"crosses {min(share, 1):.0%} of the nominal cell's window and saturates every cell: "
                "shorten the pulse or lower the voltage"
            )


def _nominal_window(device: VCMDevice) -> tuple[float, float]:
    """N between which the nominal cell moves: of its window, or of its own bounds where it has none."""
    low, high = (math.exp(x) for x in device.window)
    nominal = device.parameters
    return max(low, float(nominal.N_min)), min(high, float(nominal.N_max))


def _periphery(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device.periphery")
    plain = fields.all(declared(Periphery))
    fields.finish()
    return plain


def _model(values: dict[str, Any]) -> dict[str, Any]:
    """The model and how it is used: one way to write each."""
    if values["model"] == "tabulated":
        if values["method"] != "tabulated":
            raise StudyError(
                f"[device] method = {values['method']!r} contradicts model = 'tabulated': write model = 'full'"
            )
        values["model"] = "full"
    if values["model"] == "explicit" and all(values[key] == first for key, first in _FIRST.items()):
        return {key: value for key, value in values.items() if key not in _FIRST}
    return values


def _cell(fields: Fields) -> CellParameters:
    """The parameters that hold where the table gives none: of a cell of the library, or the default ones."""
    name = fields.all(CELL_FIELD)["cell"]
    if not name:
        return CellParameters()
    from vcm_sweep.device.library import load_cell

    try:
        return load_cell(name)
    except DeviceError as error:
        raise StudyError(f"[device] cell: {error}") from None


def build_device(plain: dict[str, Any]) -> VCMDevice:
    """The cells that a canonical [device] table describes; DeviceError if they cannot be."""
    return VCMDevice(
        parameters=CellParameters(**{name: plain[name] for name in CellParameters.names()}),
        variability=build_variability(plain),
        periphery=Periphery(**plain["periphery"]),
        model=plain["model"],
        **{key: plain[key] if key in plain else _FIRST[key] for key in declared(VCMDevice)},
        intervention=build_intervention(plain["intervention"], build_device) if "intervention" in plain else None,
    )


def rpu_config(tables: list[dict[str, Any]], seeds: Sequence[ArraySeeds]) -> "VCMRPUConfig":
    """The aihwkit configuration of one network that stacks one trial per canonical [device] table and seed.

    The tables must agree on ``io``, ``update`` and ``mapping``: those hold for the whole stack.

    Raises:
        StudyError: settings of aihwkit's that the cells do not support.
    """
    from aihwkit.exceptions import ConfigError

    from vcm_sweep.device.config import VCMRPUConfig

    config = VCMRPUConfig(
        trials=len(tables), device=[build_device(table) for table in tables], seeds=NetworkSeeds(tuple(seeds))
    )
    _set_common(config, tables[0])
    try:
        config.check()
    except ConfigError as error:
        raise StudyError(f"[device] {error}") from None
    return config


def aihwkit_config(table: dict[str, Any]) -> Any:
    """The configuration of aihwkit's compiled tile for a canonical [device] table that names a device of its own."""
    from aihwkit.simulator.configs import SingleRPUConfig

    config = SingleRPUConfig(device=build_compiled_device(table["aihwkit"], table["settings"]))
    _set_common(config, table)
    return config


def _set_common(config: Any, table: dict[str, Any]) -> None:
    from aihwkit.simulator.parameters import enums
    from aihwkit.simulator.parameters.io import IOParameters
    from aihwkit.simulator.parameters.mapping import MappingParameter
    from aihwkit.simulator.parameters.training import UpdateParameters

    names = {
        "mv_type": enums.AnalogMVType,
        "bound_management": enums.BoundManagementType,
        "noise_management": enums.NoiseManagementType,
        "w_noise_type": enums.WeightNoiseType,
        "pulse_type": enums.PulseType,
    }

    def typed(values: dict[str, Any]) -> dict[str, Any]:
        whole = {"max_bm_factor": int}  # aihwkit's bindings take no float there
        return {
            key: names[key][value] if key in names else whole.get(key, type(value))(value)
            for key, value in values.items()
        }

    config.forward, config.backward = IOParameters(**typed(table["io"])), IOParameters(**typed(table["io"]))
    config.update = dataclasses.replace(UpdateParameters(), **typed(table["update"]))
    config.mapping = MappingParameter(**table.get("mapping", {"max_input_size": 0, "max_output_size": 0}))
