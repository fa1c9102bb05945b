"""The catalogue of factors: what a study can vary, and where each enters a trial's inputs.

Names of the nonidealities are ``<parameter>.<mechanism>.<moment>``. What an engineer chooses has the name of its table
and field: ``device.<field>`` for the pulses, ``periphery``, ``io``, ``update`` and ``network``. ``aihwkit.<field>`` is
any number of aihwkit's own device, where the study names one.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import Declared, declared
from vcm_sweep.device.periphery import Periphery
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.variability import TARGETS, VARYING, Spread, TargetWalk, Walk
from vcm_sweep.device.vcm_device import VCMDevice
from vcm_sweep.sweep.study.tables.aihwkit_fields import (
    BITS,
    IO,
    UPDATE,
    aihwkit_default,
    converter_bits,
    converter_step,
)
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.variability import ALONE, STUCK


@dataclass(frozen=True)
class CatalogueEntry:
    """A known factor.

    Attributes:
        path: of its field in a trial's inputs. low, high: of its allowed range. unit, meaning: of its values.
        whole: whether its values are whole numbers. words: those of its field; a value is the place of one of them.
        field_value: what a value puts into the field. value_of: its inverse.
        turn: where the meaning of the values changes, which no range may span.
    """

    path: tuple[str, ...]
    low: float
    high: float
    unit: str
    meaning: str
    whole: bool = False
    field_value: Callable[[float], Any] = float
    value_of: Callable[[Any], float] = float
    turn: float = math.inf
    words: tuple[str, ...] = ()

    def problem(self, low: float, high: float) -> str | None:
        """What is wrong with a range within the allowed one, to follow the factor's name; None if nothing is.

        >>> CATALOGUE["io.out_res"].problem(0.01, 64)
        'range = [0.01, 64] spans 1, up to which a value is a step and above it a number of steps: keep to one side'
        """
        if low <= self.turn < high:
            return (
                f"range = [{low:g}, {high:g}] spans {self.turn:g}, up to which a value is a step and above it a number "
                "of steps: keep to one side"
            )
        return None


# Factors that are a single number of a mechanism: the mechanism's sub-table of [device], and the field there.
_ALONE: dict[str, tuple[str, str]] = {
    "mismatch.global.mean": ("mismatch", "mean"),
    "mismatch.d2d.sigma": ("mismatch", "sigma"),
    "read.noise.sigma": ("read_noise", "sigma"),
    "read.flicker.sigma": ("read_noise", "flicker"),
    "read.telegraph.amplitude": ("telegraph", "amplitude"),
    "write.error.sigma": ("write", "sigma"),
    "pulse.amplitude.sigma": ("pulse_error", "amplitude"),
    "pulse.width.sigma": ("pulse_error", "width"),
}


def _entries() -> Iterator[tuple[str, CatalogueEntry]]:
    def of(field: Declared, path: tuple[str, ...], what: str = "") -> CatalogueEntry:
        """An entry for a declared field; an X in its meaning is replaced by ``what``, the name of what varies."""
        words = field.meaning.split()
        meaning = " ".join(what if word == "X" else word for word in words)
        return CatalogueEntry(path, field.low, field.high, field.unit or "1", meaning)

    for name in CellParameters.names():
        yield f"{name}.d2d.sigma", of(declared(Spread)["sigma"], ("device", "d2d", name, "sigma"), name)
    for name in VARYING:
        for moment in ("direct", "slope"):
            yield f"{name}.c2c.{moment}", of(declared(Walk)[moment], ("device", "c2c", name, moment), name)
    for name in TARGETS:
        yield f"{name}.target.sigma", of(declared(TargetWalk)["sigma"], ("device", "target", name, "sigma"), name)
    for name in ("w_min", "w_max"):
        what = f"the window's {name}"
        yield f"window.{name}.sigma", of(declared(Spread)["sigma"], ("device", "window", name, "sigma"), what)
    for factor, (table, field) in _ALONE.items():
        yield factor, of(declared(ALONE[table])[field], ("device", table, field))
    for end, declaration in STUCK.items():
        yield f"stuck.{end}.fraction", of(declaration, ("device", "stuck", end))
    for name, declaration in declared(CellParameters).items():
        whole_array = dataclasses.replace(declaration, meaning=f"{name} of the whole array")
        yield f"{name}.global.mean", of(whole_array, ("device", name))


# How results are judged, and when a training ends early: in a study these are the same for all trials.
_OF_THE_JUDGE = ("test_samples", "validation_samples", "patience")


def _chosen() -> Iterator[tuple[str, CatalogueEntry]]:
    """What an engineer chooses: every number of the operating point, converters, pulse trains and schedule."""
    tables: dict[str, tuple[tuple[str, ...], Mapping[str, Declared]]] = {
        "device": (("device",), declared(VCMDevice)),
        "periphery": (("device", "periphery"), declared(Periphery)),
        "io": (("device", "io"), IO),
        "update": (("device", "update"), UPDATE),
        "network": (("network",), declared(NetworkSpec)),
    }
    for table, (path, fields) in tables.items():
        for name, field in fields.items():
            if table == "network" and name in _OF_THE_JUDGE:
                continue
            if field.kind == "word" and (table in ("io", "update") or name == "activation"):
                yield f"{table}.{name}", _of_words(field, (*path, name))
            if field.kind not in ("number", "whole"):
                continue
            low, turn = field.low, 1.0 if name in BITS.values() else math.inf
            field_value: Callable[[float], Any] = float
            value_of: Callable[[Any], float] = float
            if field.kind == "whole":
                low, field_value = max(low, 1), round  # a 0 stands for something else: all, or never
            if name in BITS:
                field_value, value_of = converter_step, converter_bits
            yield (
                f"{table}.{name}",
                CatalogueEntry(
                    (*path, BITS.get(name, name)), low, field.high, field.unit or "1", field.meaning,
                    field.kind == "whole", field_value, value_of, turn,
                ),
            )  # fmt: skip


def _of_words(field: Declared, path: tuple[str, ...]) -> CatalogueEntry:
    words, last = field.words, len(field.words) - 1
    listed = f"{field.meaning}: {', '.join(words)}"
    return CatalogueEntry(path, 0, last, "1", listed, True, lambda value: words[round(value)], words.index, words=words)


CATALOGUE = dict([*_entries(), *_chosen()])
_AIHWKIT = "aihwkit."


def entry(name: str) -> CatalogueEntry | None:
    """The catalogue's entry for a name, or one for a field of aihwkit's device; None if there is no such factor."""
    if name.startswith(_AIHWKIT) and name.removeprefix(_AIHWKIT).isidentifier():
        field = name.removeprefix(_AIHWKIT)
        return CatalogueEntry(("device", "settings", field), -1e9, 1e9, "aihwkit", f"{field} of aihwkit's device")
    return CATALOGUE.get(name)


def left_out(path: tuple[str, ...]) -> Any:
    """The value of a factor's field where canonical tables leave it out: its default, or 0 of a mechanism that is off.

    >>> left_out(("network", "lr_gamma")), left_out(("device", "stuck", "low"))
    (1.0, 0.0)
    """
    root, table, *_ = path
    if root == "network":
        return declared(NetworkSpec)[table].default
    return aihwkit_default(table, path[-1]) if table in ("io", "update") else 0.0


def apply_factors(inputs: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """A trial's inputs: the canonical [network] and [device] tables with the factors' values in their places.

    ``inputs`` is not changed. The result shares with it all tables that no factor changes.
    """
    # Sharing saves memory: a study of 100,000 trials has as many of these.
    changed = dict(inputs)
    for name, value in values.items():
        found = entry(name)
        assert found is not None, "checked when the study was read"
        *path, last = found.path
        table = changed
        for key in path:
            table[key] = dict(table.get(key, {}))
            table = table[key]
        table[last] = found.field_value(value)
    return changed
