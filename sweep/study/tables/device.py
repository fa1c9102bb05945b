"""The table [device]: its fields, and its canonical form, in which every value that affects results is written out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.periphery import MAPPINGS, Periphery
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.errors import Mistakes, StudyError
from vcm_sweep.sweep.study.tables.aihwkit_device import canonical_settings
from vcm_sweep.sweep.study.tables.aihwkit_fields import canonical_layer
from vcm_sweep.sweep.study.tables.build_device import FIRST, build_device
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.intervention import canonical_intervention
from vcm_sweep.sweep.study.tables.nominal_step import fitting_pulse, mean_step, nominal_step
from vcm_sweep.sweep.study.tables.variability import canonical_variability

MODELS = ("explicit", "full", "tabulated")
"""Allowed values of ``model``; "tabulated" means the full model with the method "tabulated"."""

CELL_FIELD: Mapping[str, Declared] = {
    "cell": Declared("text", "a cell of the library, or the path of a cell's TOML file; the default one without it", "")
}
"""The field of [device] that names a cell, which provides the parameters that [device] does not give itself."""

MAPPING_FIELD: Mapping[str, Declared] = {
    "preset": Declared(
        "word",
        "what the other fields are where they are not given: the paper's text, or its code, which ran with +-0.6, "
        "unclamped",
        "as-described",
        words=tuple(MAPPINGS),
    )
}
"""The field of [device.periphery] that names a preset of the others."""

DEVICE_FIELDS: Mapping[str, Declared] = {
    "model": Declared(
        "word",
        "the physics: full, of which tabulated is another word, or the fit of the paper, explicit",
        "tabulated",
        words=MODELS,
    ),
    **declared(VCMDevice),
    "dw_min": dataclasses.replace(
        declared(VCMDevice)["dw_min"],
        meaning="weight step that the pulse rule assumes; auto: the mean step of the nominal cell's pulses",
        instead={"auto": "auto"},
    ),
    "read_path": dataclasses.replace(
        declared(VCMDevice)["read_path"],
        meaning="whose current is read: the cell's own, or the nominal cell's at its N, the default of explicit",
        default="cell",
    ),
    **declared(CellParameters),
}
"""The other fields of [device] that are not tables."""


def is_physical(plain: dict[str, Any]) -> bool:
    """Whether a canonical [device] table describes VCM cells, not a device of aihwkit's."""
    return "aihwkit" not in plain


def canonical_device(table: dict[str, Any]) -> dict[str, Any]:
    """The [device] table with every field that affects results written out, checked against the rules of a device.

    Mechanisms that are off are left out. A canonical table is its own canonical form. Nothing is simulated, but a pulse
    in each direction for ``dw_min = "auto"``: see :func:`vcm_sweep.sweep.study.tables.window_check.check_device`.

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
    plain: dict[str, Any] = {}
    found = Mistakes()
    for read in (
        lambda: _model(fields.all(DEVICE_FIELDS, **own)),
        lambda: {"periphery": _periphery(fields.table("periphery"))},
        lambda: canonical_variability(fields),
        lambda: canonical_layer(fields),
    ):
        with found.noted():
            plain |= read()
    found.tell()
    if plain["dw_min"] == "auto":
        plain["dw_min"] = _auto_step(plain | {"dw_min": declared(VCMDevice)["dw_min"].default})
    if "intervention" in fields.given:
        plain |= {"intervention": canonical_intervention(fields.table("intervention"), plain, canonical_device)}
    fields.finish()
    try:
        build_device(plain)
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    return plain


def _auto_step(plain: dict[str, Any]) -> float:
    """The mean step of the nominal cell's pulses; StudyError where dw_min cannot be that."""
    try:
        device = build_device(plain)
    except DeviceError as error:
        raise StudyError(f"[device] {error}") from None
    step, limits = mean_step(device), declared(VCMDevice)["dw_min"]
    if not limits.low <= step <= limits.high:
        up, down = nominal_step(device)
        raise StudyError(
            "[device] dw_min = 'auto' is the mean step of the nominal cell, and one pulse moves its weight by "
            f"{up:.2g} (SET) and {down:.2g} (RESET): give a number from {limits.low:g} to {limits.high:g}, or another "
            f"pulse; {fitting_pulse(device)}"
        )
    return step


def _canonical_aihwkit(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device")
    name = fields.text("aihwkit")
    plain = {"aihwkit": name, "settings": canonical_settings(name, fields.table("settings"))}
    plain |= canonical_layer(fields)
    fields.finish()
    return plain


def _periphery(table: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(table, "device.periphery")
    preset = MAPPINGS[fields.all(MAPPING_FIELD)["preset"]]
    plain = fields.all(declared(Periphery), **dataclasses.asdict(preset))
    fields.finish()
    return plain


def _model(values: dict[str, Any]) -> dict[str, Any]:
    """The values with model and method in one way of writing each, see ``MODELS``, and without those of ``FIRST``."""
    if values["model"] == "tabulated":
        if values["method"] != "tabulated":
            raise StudyError(
                f"[device] method = {values['method']!r} contradicts model = 'tabulated': write model = 'full'"
            )
        values["model"] = "full"
    if values["model"] == "explicit" and all(values[key] == first for key, first in FIRST.items()):
        return {key: value for key, value in values.items() if key not in FIRST}
    return values


def _cell(fields: Fields) -> CellParameters:
    """The parameters that hold where the table gives none: those of the named cell, or the default ones."""
    name = fields.all(CELL_FIELD)["cell"]
    if not name:
        return CellParameters()
    from vcm_sweep.device.library.library import load_cell

    try:
        return load_cell(name)
    except DeviceError as error:
        raise StudyError(f"[device] cell: {error}") from None
