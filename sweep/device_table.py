"""From the [device] table of a study to the cells of a trial."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.integration import integrate
from vcm_sweep.device.jumps import refuse_nominal_jumps
from vcm_sweep.device.kinetics import rate
from vcm_sweep.device.parameters import CellParameters
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.vcm_device import METHODS, NUMBERS, ON_INVALID, READ_PATHS, VCMDevice

from .aihwkit_device import build_compiled_device, canonical_settings, check_compiled
from .errors import StudyError
from .fields import Fields
from .intervention_table import build_intervention, canonical_intervention
from .variability_table import build_variability, canonical_variability

if TYPE_CHECKING:
    from vcm_sweep.device.config import VCMRPUConfig

MODELS = ("explicit", "full", "tabulated")
"""Words for the current; "tabulated" is the full model with the method "tabulated"."""

DEFAULT_MODEL = "tabulated"

# What the versions that did not know these words did, with the explicit model: left out of a canonical table where it
# holds, so that their results keep their keys. Never changed.
_FIRST = {"method": "tabulated", "read_path": "nominal", "on_invalid": "record"}


def is_physical(plain: dict[str, Any]) -> bool:
    """Whether a canonical [device] table describes VCM cells, not a device of aihwkit's."""
    return "aihwkit" not in plain


def canonical_device(table: dict[str, Any]) -> dict[str, Any]:
    """The [device] table with every result-affecting field written out, checked against the cell's own rules.

    Mechanisms that are off are left out. A canonical table is its own canonical form.

    Raises:
        StudyError: an unknown key, or a value that the cell refuses.
    """
    if "aihwkit" in table:
        return _canonical_aihwkit(table)
    fields = Fields(table, "device")
    plain: dict[str, Any] = _model(fields)
    for key, default in (("dw_min", 1e-4), ("set_voltage_v", -0.342), ("reset_voltage_v", 0.7065), ("pulse_s", 1e-6)):
        plain[key] = fields.number(key, *NUMBERS[key], default)
    nominal = _cell(fields)
    for name in CellParameters.names():
        low, high = CellParameters.bounds(name)
        plain[name] = fields.number(name, low, high, float(getattr(nominal, name)))
    plain["periphery"] = _periphery(fields.table("periphery"))
    plain |= canonical_variability(fields)
    for direction in ("io", "update"):
        plain[direction] = _aihwkit_fields(fields.table(direction), direction)
    plain |= _mapping(fields.table("mapping"))
    if "intervention" in fields.given:
        plain |= {"intervention": canonical_intervention(fields.table("intervention"), plain, canonical_device)}
    fields.finish()
    try:
        check_window(build_device(plain))
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    return plain


def _canonical_aihwkit(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device")
    name = fields.text("aihwkit")
    plain = {"aihwkit": name, "settings": canonical_settings(name, fields.table("settings"))}
    for direction in ("io", "update"):
        plain[direction] = _aihwkit_fields(fields.table(direction), direction)
    plain |= _mapping(fields.table("mapping"))
    fields.finish()
    check_compiled(aihwkit_config(plain))
    return plain


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


def _mapping(table: dict[str, Any]) -> dict[str, Any]:
    """How a layer is cut into tiles; left out where it is not given, so that a layer is one tile."""
    if not table:
        return {}
    fields = Fields(table, "device.mapping")
    plain = {name: fields.integer(name, 0, 1 << 30, 0) for name in ("max_input_size", "max_output_size")}
    fields.finish()
    return {"mapping": plain}


def _periphery(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device.periphery")
    plain = {
        "w_min": fields.number("w_min", -100, 100, -1.5),
        "w_max": fields.number("w_max", -100, 100, 1.5),
        "clamped": fields.flag("clamped", True),
    }
    fields.finish()
    return plain


def _model(fields: Fields) -> dict[str, Any]:
    """The model and how it is used: one way to write each."""
    word = fields.choice("model", MODELS, DEFAULT_MODEL)
    method = fields.choice("method", METHODS, "tabulated")
    if word == "tabulated" and method != "tabulated":
        raise StudyError(f"[device] method = {method!r} contradicts model = 'tabulated': write model = 'full'")
    model = "full" if word == "tabulated" else word
    how = {
        "method": method,
        "read_path": fields.choice("read_path", READ_PATHS, "nominal" if model == "explicit" else "cell"),
        "on_invalid": fields.choice("on_invalid", ON_INVALID, "record"),
    }
    return {"model": model, **({} if model == "explicit" and how == _FIRST else how)}


def _cell(fields: Fields) -> CellParameters:
    """The parameters that hold where the table gives none: of a cell of the library, or the default ones."""
    if "cell" not in fields.given:
        return CellParameters()
    from vcm_sweep.device.library import load_cell

    try:
        return load_cell(fields.text("cell"))
    except DeviceError as error:
        raise StudyError(f"[device] cell: {error}") from None


# Plain numbers and switches of aihwkit's IOParameters and UpdateParameters; enumerations are named by member.
_IO_NUMBERS = ("inp_bound", "inp_noise", "inp_res", "inp_asymmetry", "out_bound", "out_noise", "out_res", "out_scale",
               "out_asymmetry", "w_noise", "max_bm_factor", "max_bm_res", "nm_thres")  # fmt: skip
_IO_FLAGS = ("is_perfect", "inp_sto_round", "out_sto_round")
_IO_ENUMS = {
    "mv_type": ("ONE_PASS", "POS_NEG_SEPARATE", "POS_NEG_SEPARATE_DIGITAL_SUM"),
    "bound_management": ("NONE", "ITERATIVE", "ITERATIVE_WORST_CASE"),
    "noise_management": ("NONE", "ABS_MAX", "ABS_MAX_NP_SUM", "MAX", "CONSTANT"),
    "w_noise_type": ("NONE", "ADDITIVE_CONSTANT", "PCM_READ"),
}
_UPDATE_FLAGS = ("fixed_bl", "update_bl_management", "update_management")
_UPDATE_NUMBERS = ("res", "x_res_implicit", "d_res_implicit")
_UPDATE_ENUMS = {
    "pulse_type": ("STOCHASTIC_COMPRESSED", "STOCHASTIC", "DETERMINISTIC_IMPLICIT", "MEAN_COUNT", "NONE",
                   "NONE_WITH_DEVICE"),
}  # fmt: skip


def _aihwkit_fields(table: dict[str, Any], direction: str) -> dict[str, Any]:
    """What is given of aihwkit's settings; the rest keeps aihwkit's defaults."""
    fields = Fields(table, f"device.{direction}")
    update = direction == "update"
    numbers, flags, enums = (
        (_UPDATE_NUMBERS, _UPDATE_FLAGS, _UPDATE_ENUMS) if update else (_IO_NUMBERS, _IO_FLAGS, _IO_ENUMS)
    )
    plain: dict[str, Any] = {key: fields.number(key, 0, 1 if update else 1e9) for key in numbers if key in table}
    plain |= {key: fields.choice(key, words) for key, words in enums.items() if key in table}
    plain |= {key: fields.flag(key, False) for key in flags if key in table}
    if update and "desired_bl" in table:
        plain["desired_bl"] = fields.integer("desired_bl", 1, 1_000_000)
    fields.finish(also=(*numbers, *enums, *flags, *(("desired_bl",) if update else ())))
    return plain


def build_device(plain: dict[str, Any]) -> VCMDevice:
    """The cells that a canonical [device] table describes; DeviceError if they cannot be."""
    return VCMDevice(
        parameters=CellParameters(**{name: plain[name] for name in CellParameters.names()}),
        variability=build_variability(plain),
        periphery=Periphery(**plain["periphery"]),
        **{key: plain[key] for key in ("model", *NUMBERS)},
        **{key: plain.get(key, first) for key, first in _FIRST.items()},
        intervention=build_intervention(plain["intervention"], build_device) if "intervention" in plain else None,
    )


def rpu_config(tables: list[dict[str, Any]]) -> "VCMRPUConfig":
    """The aihwkit configuration that stacks one trial per canonical [device] table.

    The tables must agree on ``io``, ``update`` and ``mapping``: those hold for the whole stack.

    Raises:
        StudyError: settings of aihwkit's that the cells do not support.
    """
    from aihwkit.exceptions import ConfigError

    from vcm_sweep.device.config import VCMRPUConfig

    config = VCMRPUConfig(trials=len(tables), device=[build_device(table) for table in tables])
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
