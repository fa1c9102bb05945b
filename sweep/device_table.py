"""From the [device] table of a study to the cells of a trial."""

import dataclasses
from typing import TYPE_CHECKING, Any

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.parameters import CellParameters
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.variability import VARYING, Mismatch, Spread, Variability, Walk
from vcm_sweep.device.vcm_device import VCMDevice

from .errors import StudyError
from .fields import Fields

if TYPE_CHECKING:
    from vcm_sweep.device.config import VCMRPUConfig

MODELS = ("explicit",)


def canonical_device(table: dict[str, Any]) -> dict[str, Any]:
    """The [device] table with every result-affecting field written out, checked against the cell's own rules.

    Raises:
        StudyError: an unknown key, or a value that the cell refuses.
    """
    fields = Fields(table, "device")
    plain: dict[str, Any] = {
        "model": fields.choice("model", MODELS, "explicit"),
        "dw_min": fields.number("dw_min", 1e-9, 10.0, 1e-4),
        "set_voltage_v": fields.number("set_voltage_v", -2.0, -1e-3, -0.342),
        "reset_voltage_v": fields.number("reset_voltage_v", 1e-3, 2.0, 0.7065),
        "pulse_s": fields.number("pulse_s", 1e-12, 1.0, 1e-6),
    }
    nominal = CellParameters()
    for name in CellParameters.names():
        low, high = CellParameters.bounds(name)
        plain[name] = fields.number(name, low, high, float(getattr(nominal, name)))
    plain["periphery"] = _periphery(fields.table("periphery"))
    plain["d2d"] = {p: _spread(sub, p) for p, sub in sorted(_per_parameter(fields.table("d2d"), "d2d").items())}
    plain["c2c"] = {p: _walk(sub, p) for p, sub in sorted(_per_parameter(fields.table("c2c"), "c2c").items())}
    mismatch = Fields(fields.table("mismatch"), "device.mismatch")
    plain["mismatch"] = {"mean": mismatch.number("mean", -5, 5, 0.0), "sigma": mismatch.number("sigma", 0, 5, 0.0)}
    mismatch.finish()
    read_noise = Fields(fields.table("read_noise"), "device.read_noise")
    plain["read_noise"] = {"sigma": read_noise.number("sigma", 0, 1, 0.0)}
    read_noise.finish()
    for direction in ("io", "update"):
        plain[direction] = _aihwkit_fields(fields.table(direction), direction)
    fields.finish()
    try:
        build_device(plain)
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    return plain


def _per_parameter(table: dict[str, Any], kind: str) -> dict[str, Any]:
    for name in table:
        if name not in VARYING:
            raise StudyError(f"[device.{kind}] unknown parameter {name!r}; one of {', '.join(VARYING)}")
    return table


def _periphery(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device.periphery")
    plain = {
        "w_min": fields.number("w_min", -100, 100, -1.5),
        "w_max": fields.number("w_max", -100, 100, 1.5),
        "clamped": fields.flag("clamped", True),
    }
    fields.finish()
    return plain


def _spread(table: dict[str, Any], parameter: str) -> dict[str, Any]:
    fields = Fields(table, f"device.d2d.{parameter}")
    plain = {
        "sigma": fields.number("sigma", 0, 10, 0.0),
        "clip": fields.number("clip", 1e-6, 0.99, 0.3),
        "distribution": fields.choice("distribution", ("truncated", "clipped"), "truncated"),
    }
    fields.finish()
    return plain


def _walk(table: dict[str, Any], parameter: str) -> dict[str, Any]:
    fields = Fields(table, f"device.c2c.{parameter}")
    plain = {
        "direct": fields.number("direct", 0, 1, 0.0),
        "slope": fields.number("slope", 0, 1, 0.0),
        "clip": fields.number("clip", 1e-6, 0.99, 0.1),
    }
    fields.finish()
    return plain


# Plain numbers and switches of aihwkit's IOParameters and UpdateParameters; enumerations are named by member.
_IO_NUMBERS = ("inp_bound", "inp_noise", "inp_res", "out_bound", "out_noise", "out_res", "out_scale", "w_noise",
               "max_bm_factor", "max_bm_res", "nm_thres")  # fmt: skip
_IO_ENUMS = {"bound_management": ("NONE", "ITERATIVE"), "noise_management": ("NONE", "ABS_MAX", "CONSTANT"),
             "w_noise_type": ("NONE", "ADDITIVE_CONSTANT")}  # fmt: skip
_UPDATE_FLAGS = ("fixed_bl", "update_bl_management", "update_management")


def _aihwkit_fields(table: dict[str, Any], direction: str) -> dict[str, Any]:
    fields = Fields(table, f"device.{direction}")
    plain: dict[str, Any] = {}
    if direction == "update":
        plain = {key: fields.flag(key, True) for key in _UPDATE_FLAGS if key in table}
        if "desired_bl" in table:
            plain["desired_bl"] = fields.integer("desired_bl", 1, 64)
        fields.finish(also=(*_UPDATE_FLAGS, "desired_bl"))
        return plain
    plain = {key: fields.number(key, 0, 1e9) for key in _IO_NUMBERS if key in table}
    plain |= {key: fields.choice(key, words) for key, words in _IO_ENUMS.items() if key in table}
    if "is_perfect" in table:
        plain["is_perfect"] = fields.flag("is_perfect", False)
    fields.finish(also=(*_IO_NUMBERS, *_IO_ENUMS, "is_perfect"))
    return plain


def build_device(plain: dict[str, Any]) -> VCMDevice:
    """The cells that a canonical [device] table describes; DeviceError if they cannot be."""
    return VCMDevice(
        parameters=CellParameters(**{name: plain[name] for name in CellParameters.names()}),
        variability=Variability(
            d2d={name: Spread(**sub) for name, sub in plain["d2d"].items()},
            c2c={name: Walk(**sub) for name, sub in plain["c2c"].items()},
            mismatch=Mismatch(**plain["mismatch"]),
            read_noise=plain["read_noise"]["sigma"],
        ),
        periphery=Periphery(**plain["periphery"]),
        **{name: plain[name] for name in ("set_voltage_v", "reset_voltage_v", "pulse_s", "dw_min", "model")},
    )


def rpu_config(tables: list[dict[str, Any]]) -> "VCMRPUConfig":
    """The aihwkit configuration that stacks one trial per canonical [device] table.

    The tables must agree on ``io`` and ``update``: those hold for the whole stack.
    """
    from aihwkit.simulator.parameters import enums
    from aihwkit.simulator.parameters.io import IOParameters
    from aihwkit.simulator.parameters.training import UpdateParameters

    from vcm_sweep.device.config import VCMRPUConfig

    names = {"bound_management": enums.BoundManagementType, "noise_management": enums.NoiseManagementType,
             "w_noise_type": enums.WeightNoiseType}  # fmt: skip
    io = {key: names[key][value] if key in names else value for key, value in tables[0]["io"].items()}
    devices = [build_device(table) for table in tables]
    config = VCMRPUConfig(trials=len(tables), device=devices)
    config.forward, config.backward = IOParameters(**io), IOParameters(**io)
    config.update = dataclasses.replace(UpdateParameters(), **tables[0]["update"])
    return config
