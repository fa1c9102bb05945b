"""aihwkit's own devices as the device of a study, so that physical and analytic models can be compared."""

import copy
import dataclasses
from typing import Any

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.tables.fields import brief

# The devices of the module ``devices`` and of the module ``presets.devices`` of aihwkit. Those that are not listed are
# made of several devices or have no pulses.
_ANALYTIC = ("ConstantStepDevice", "LinearStepDevice", "SoftBoundsDevice", "SoftBoundsReferenceDevice",
             "ExpStepDevice", "PowStepDevice", "PowStepReferenceDevice")  # fmt: skip
_PRESETS = ("ReRamESPresetDevice", "ReRamSBPresetDevice", "ReRamArrayOMPresetDevice", "ReRamArrayHfO2PresetDevice",
            "EcRamPresetDevice", "EcRamMOPresetDevice", "CapacitorPresetDevice", "GokmenVlasovPresetDevice",
            "IdealizedPresetDevice", "PCMPresetDevice")  # fmt: skip
DEVICES = (*_ANALYTIC, *_PRESETS)
_SEED = "construction_seed"
_LARGEST, _LARGEST_WHOLE = 1e30, 2**31 - 1


def canonical_settings(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The checked [device.settings] of an aihwkit device: its own numbers and switches.

    Raises:
        StudyError: an unknown device or field, or a value of the wrong type.

    Example:
        >>> canonical_settings("ConstantStepDevice", {"dw_min": 0.001})
        {'dw_min': 0.001}
    """
    if name not in DEVICES:
        hint = did_you_mean(name, DEVICES, f"one of {', '.join(DEVICES)}")
        raise StudyError(f"[device] aihwkit = {name!r} is not a device that a study can use; {hint}")
    kinds = _kinds(name)
    known = list(kinds)
    for key, value in settings.items():
        if key == _SEED or key not in known:
            why = "is drawn from the trial's seed: leave it out" if key == _SEED else "is unknown"
            hint = did_you_mean(key, known)
            raise StudyError(f"[device.settings] {key} of {name} {why}{hint and f'; {hint}'}")
        kind = kinds[key]
        if kind is bool and not isinstance(value, bool):
            raise StudyError(f"[device.settings] {key} = {brief(value)} must be true or false")
        if kind is not bool and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise StudyError(f"[device.settings] {key} = {brief(value)} must be a number")
        # NaN fails every comparison. Larger numbers do not fit into aihwkit's 32 bits.
        largest = _LARGEST_WHOLE if kind is int else _LARGEST
        if not -largest <= value <= largest:
            raise StudyError(
                f"[device.settings] {key} = {brief(value)} must be finite: a number from {-largest:g} to {largest:g}"
            )
        if kind is int and value != int(value):
            raise StudyError(f"[device.settings] {key} = {value!r} must be a whole number")
        if key == "dw_min" and value < 0:
            raise StudyError(f"[device.settings] dw_min = {value!r} must be at least 0")
    # Converted to the declared types, so that 1 and 1.0 give the same key.
    return {key: kinds[key](settings[key]) for key in sorted(settings)}


def device_class(name: str) -> Any:
    """The class of aihwkit with this name."""
    from aihwkit.simulator.configs import devices
    from aihwkit.simulator.presets import devices as presets

    return getattr(presets if name in _PRESETS else devices, name)


def build_compiled_device(name: str, settings: dict[str, Any], seed: int = 0) -> Any:
    """The aihwkit device with the given settings; ``seed`` is that of its spread from cell to cell."""
    kinds = _kinds(name)
    typed = {key: kinds[key](value) for key, value in settings.items()}
    return device_class(name)(**typed, construction_seed=seed)


def check_compiled(config: Any) -> None:
    """Raise StudyError, in aihwkit's words, for a configuration that its compiled tile refuses."""
    from aihwkit.exceptions import AihwkitException
    from aihwkit.simulator.tiles.analog import AnalogTile

    try:
        AnalogTile(1, 1, config)
    except (RuntimeError, AihwkitException) as error:
        # aihwkit's messages look like "Error in file.cpp:61  What is wrong": only the last part is for users.
        words = " ".join(str(error).split()).removeprefix("Error in ").split(" ", 1)[-1]
        raise StudyError(f"[device] aihwkit refuses {type(config.device).__name__}: {words}") from None


def seed_per_tile(config: Any, seed: int) -> Any:
    """Change the configuration so that every tile made with it has different cells, drawn from the seed; returns it.

    This is needed because a layer may be split into several tiles, and aihwkit gives equal cells to all tiles that it
    makes with one configuration.
    """
    tiles = iter(range(1, 1 << 20))
    kind = config.tile_class

    def tile_class(out_size: int, in_size: int, config: Any, *args: Any, **kwargs: Any) -> Any:
        own = copy.deepcopy(config)
        own.tile_class = kind
        # aihwkit's seeds have 31 bits, and 0 means that there is none.
        own.device.construction_seed = (seed + 7919 * next(tiles)) % (2**31 - 2) + 1
        return kind(out_size, in_size, own, *args, **kwargs)

    config.tile_class = tile_class
    return config


def _kinds(name: str) -> dict[str, type]:
    """The declared type of each field of a device that is a number or a switch.

    The type of the default would be wrong: some presets write a float as 56.
    """
    plain = {kind.__name__: kind for kind in (bool, int, float)}
    fields = dataclasses.fields(device_class(name))
    named = {field.name: getattr(field.type, "__name__", str(field.type)) for field in fields}
    return {field: plain[kind] for field, kind in named.items() if kind in plain}
