"""What makes a study's answer worthless though nothing in it is invalid, in sentences: likely trainings at chance."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.torch_later import torch
from vcm_sweep.sweep.data.sets import DataSet
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import apply_factors
from vcm_sweep.sweep.study.editing import found
from vcm_sweep.sweep.study.operating_point import step_factors
from vcm_sweep.sweep.study.tables.build_device import build_device
from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.study.tables.nominal_step import fitting_pulse, nominal_step

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.factors import Factor
    from vcm_sweep.sweep.study.tables.network import NetworkSpec

# Of a weight's window: a training whose every pulse moves a weight by less, in all, does not train.
_LEAST_REACH = 0.05
# Conditions that are named one by one where their steps are told.
_MOST_NAMED = 3
# Real step over the step that the pulse rule assumes; the studies in studies/ have 25 to 95.
_SMALL_STEP, _LARGE_STEP = 0.1, 1000.0
# Of the window: one pulse crosses so much that a cell has few states, or so little that longer pulses are worth it.
_COARSE, _FINE = 0.15, 1e-4
# Learning rate times that; those of studies/ are 0.5 to 6.
_FAST, _SLOW = 100.0, 1e-3
_SLOTS = 31  # aihwkit's default of desired_bl
_MANY_SAMPLES = 100_000  # where a study trains with all there are
_DW_MIN = ("device", "dw_min")
_PULSE = {"set_voltage_v", "reset_voltage_v", "pulse_s", "periphery"}


class Setting(NamedTuple):
    """What is trained: a study's tables with its factors, or a condition, which has none.

    ``name``: the condition's, or "". ``device``: canonical [device] table.
    """

    name: str
    network: NetworkSpec
    device: dict[str, Any]
    factors: tuple[Factor, ...]


def cautions(settings: Sequence[Setting], data: DataSet | None = None) -> tuple[str, ...]:
    """Why trainings of a study may end at chance level, or below what the network could reach; () if nothing is seen.

    Args:
        settings: of the study that will be, or was, trained. data: all its samples, where they are at hand.
    """
    said_of: dict[str, list[str]] = {}
    for setting in settings:
        samples = () if data is None else _of_samples(setting, data)
        used = _within_ranges(setting)
        for said in (*_of_step(setting, used), *_of_pulses(used), *_of_weights(used), *samples):
            said_of.setdefault(said, []).append(setting.name)
    return tuple(
        said if len(names) == len(settings) else f"condition {', '.join(map(repr, names))}: {said}"
        for said, names in said_of.items()
    )


def check_reach(setting: Setting) -> None:
    """Raise StudyError where not even all pulses of a whole training would move a weight of the nominal cell."""
    _, network, device, factors = setting
    chosen = {factor.path[1] for factor in factors if factor.path[0] == "device"}
    if not is_physical(device) or chosen & _PULSE:
        return
    slots = int(device["update"].get("desired_bl", _SLOTS))
    pulses = network.epochs * (network.train_samples or _MANY_SAMPLES) * slots
    width = device["periphery"]["w_max"] - device["periphery"]["w_min"]
    plain = json.dumps(device)
    for what, step in zip(("SET", "RESET"), _steps(plain), strict=True):
        if step * pulses < _LEAST_REACH * width:
            raise StudyError(
                f"[device] one {what} pulse of pulse_s = {device['pulse_s']:g} s moves the nominal cell's weight by "
                f"{max(0.0, step):.1g} (dw_min = {device['dw_min']:g}), so that all {pulses:.2g} pulses of a training "
                f"together move it by {max(0.0, step * pulses):.1g} of a window of {width:g}: nothing can be trained; "
                f"{_advice(plain)}"
            )


def steps_in_words(settings: Sequence[Setting]) -> str:
    """The real steps of the nominal cells, beside dw_min and over the ranges; conditions in which they differ by name.

    The largest group of conditions comes last, as all the others. "" where all devices are aihwkit's.
    """
    said_of: dict[str, list[str]] = {}
    for name, _, device, factors in settings:
        if said := step_in_words(device):
            acting = tuple(step_factors(device, factors))
            said_of.setdefault(said + _over_ranges(json.dumps(device), acting), []).append(name)
    if sum(map(len, said_of.values())) == len(settings) and len(said_of) == 1:
        return next(iter(said_of))
    by_size = sorted(said_of.items(), key=lambda item: len(item[1]))
    named = [(", ".join(names), said) for said, names in by_size]
    if len(by_size) > 1 and (count := len(by_size[-1][1])) > _MOST_NAMED:
        named[-1] = (f"the {count} other conditions", by_size[-1][0])
    return "; ".join(f"{names}: {said}" for names, said in named)


def step_in_words(device: dict[str, Any]) -> str:
    """The real step of the nominal cell beside dw_min; "" for aihwkit's devices."""
    if not is_physical(device):
        return ""
    up, down = _steps(json.dumps(device))
    steps, dw_min = f"SET {up:.2g}, RESET {down:.2g} of weight; the pulse rule assumes", device["dw_min"]
    if not min(up, down) > 0.0:
        return f"{steps} dw_min = {dw_min:g}"
    if dw_min == _mean_step(device):
        return f"{steps} their mean, dw_min = {dw_min:g}"
    return f"{steps} dw_min = {dw_min:g}, so that lr acts as {_mean(up, down) / dw_min:.3g} times as large"


@lru_cache(maxsize=8)
def _over_ranges(plain: str, acting: tuple[Factor, ...]) -> str:
    """The smallest and the largest step of both pulses, in words; "" where no factor acts on them.

    They are those of two corners, at which each factor is at the end that alone gives the smaller, or the larger, step.
    """
    if not acting:
        return ""

    def steps(corner: dict[str, float]) -> tuple[float, float]:
        return _steps(json.dumps(apply_factors({"device": json.loads(plain)}, corner)["device"]))

    spans = []
    try:
        for way, direction in enumerate(("SET", "RESET")):
            least: dict[str, float] = {}
            most: dict[str, float] = {}
            for factor in acting:
                ends = [{factor.name: end} for end in (factor.low, factor.high)]
                small, large = sorted(ends, key=lambda corner: steps(corner)[way])
                least |= small
                most |= large
            spans.append(f"{direction} {steps(least)[way]:.2g} to {steps(most)[way]:.2g}")
    except DeviceError:
        return ""
    return f"; over the ranges {', '.join(spans)}"


@lru_cache(maxsize=256)
def _steps(plain: str) -> tuple[float, float]:
    return nominal_step(build_device(json.loads(plain)))


@lru_cache(maxsize=8)
def _advice(plain: str) -> str:
    return fitting_pulse(build_device(json.loads(plain)))


def _mean_step(device: dict[str, Any]) -> float:
    """What ``dw_min = "auto"`` is; NaN where a pulse does not do its work."""
    up, down = _steps(json.dumps(device))
    return float(f"{_mean(up, down):.4g}") if min(up, down) > 0.0 else math.nan


def _mean(up: float, down: float) -> float:
    return float((up * down) ** 0.5)


def _within_ranges(setting: Setting) -> Setting:
    """The setting with the nearest value that a point may have where a factor's range leaves out that of the tables."""
    network, device = setting.network, setting.device
    acting = step_factors(device, setting.factors)
    for factor in setting.factors:
        if factor.path in (("network", "lr"), ("network", "init")):
            field, own = factor.path[1], getattr(network, factor.path[1])
            nearest: dict[str, Any] = {field: factor.low if own == "fan_in" else _nearest(factor, own)}
            network = replace(network, **nearest)
        elif factor in acting or factor.path == _DW_MIN:
            value = _nearest(factor, _own(device, factor))
            device = apply_factors({"device": device}, {factor.name: value})["device"]
    return setting._replace(network=network, device=device)


def _own(device: dict[str, Any], factor: Factor) -> float:
    own: Any = found({"device": device}, factor.path)
    return float(own)


def _nearest(factor: Factor, own: float) -> float:
    return min(max(own, factor.low), factor.high)


def _of_step(setting: Setting, used: Setting) -> Iterator[str]:
    """Whether dw_min is the mean step of a cell or of pulses that no point has."""
    device, acting = setting.device, step_factors(setting.device, setting.factors)
    outside = [factor for factor in acting if _own(used.device, factor) != _own(device, factor)]
    if not outside or any(factor.path == _DW_MIN for factor in setting.factors):
        return
    try:
        own, (up, down) = _mean_step(device), _steps(json.dumps(used.device))
    except DeviceError:
        return
    if device["dw_min"] == own:
        fields = [f"[{'.'.join(factor.path[:-1])}] {factor.path[-1]}" for factor in outside]
        given = [f"{field} = {_own(device, factor):g}" for field, factor in zip(fields, outside, strict=True)]
        ranges = [f"{factor.name} = {factor.low:g} to {factor.high:g}" for factor in outside]
        yield (
            f"[device] dw_min = {own:g} is the mean step with {' and '.join(given)}, which no point has (factor "
            f"{' and '.join(ranges)}; at the nearest end SET {up:.2g}, RESET {down:.2g}): give {' and '.join(fields)} "
            "within the range"
        )


def _of_pulses(setting: Setting) -> Iterator[str]:
    if not is_physical(setting.device):
        return
    plain, dw_min, lr = json.dumps(setting.device), float(setting.device["dw_min"]), setting.network.lr
    try:
        up, down = _steps(plain)
    except DeviceError:
        return
    small, large = sorted((up, down))
    steps = f"one pulse moves the nominal cell's weight by {up:.2g} (SET) and {down:.2g} (RESET)"
    width = setting.device["periphery"]["w_max"] - setting.device["periphery"]["w_min"]
    if large > _COARSE * width:
        yield f"{steps} in a window of {width:g}, so that it has few states: {_advice(plain)}"
    elif not small >= _SMALL_STEP * dw_min:
        other = f", or {_advice(plain)}" if small < _FINE * width else ""
        yield (
            f"{steps}, and the pulse rule assumes dw_min = {dw_min:g}, so that training is as slow as with a much "
            f"smaller lr: lower dw_min{f' to {_mean(up, down):.1g}' if small > 0 else ''}{other}"
        )
    elif large > _LARGE_STEP * dw_min:
        yield (
            f"{steps}, and the pulse rule assumes dw_min = {dw_min:g}, so that every update fires all its pulses and "
            f"overshoots: raise dw_min, up to {_mean(up, down):.1g}"
        )
    elif lr * _mean(up, down) / dw_min > _FAST:
        yield (
            f"{steps} where the pulse rule assumes dw_min = {dw_min:g}, so that lr = {lr:g} acts as "
            f"{lr * _mean(up, down) / dw_min:.2g}: lower lr, or raise dw_min"
        )
    elif lr * _mean(up, down) / dw_min < _SLOW:
        yield (
            f"{steps} where the pulse rule assumes dw_min = {dw_min:g}, so that lr = {lr:g} acts as "
            f"{lr * _mean(up, down) / dw_min:.2g}, which hardly fires a pulse: raise lr, or lower dw_min"
        )


def _of_weights(setting: Setting) -> Iterator[str]:
    init = setting.network.init
    if not is_physical(setting.device) or isinstance(init, str) or setting.network.start:
        return
    low, high = setting.device["periphery"]["w_min"], setting.device["periphery"]["w_max"]
    if init > 2 * max(-low, high):
        yield (
            f"[network] init = {init:g} draws first weights from +-{init:g}, and the cells hold {low:g} to {high:g}, "
            "so that most begin at an end of their window: lower init, or take 'fan_in'"
        )


def _of_samples(setting: Setting, data: DataSet) -> Iterator[str]:
    network = setting.network
    varied = [factor.low for factor in setting.factors if factor.path == ("network", "train_samples")]
    asked = int(min(varied)) if varied else network.train_samples
    part = data.first(asked, network.test_samples, network.validation_samples)
    trained, tested = (set(torch.unique(y).tolist()) for y in (part.train_y, part.test_y))
    if lacking := sorted(tested - trained):
        best = float(torch.isin(part.test_y, torch.tensor(sorted(trained))).double().mean())
        held = " after validation_samples" if network.validation_samples else ""
        yield (
            f"the {len(part.train_y)} training samples{held} hold none of {_classes(lacking)} of the test set, so that "
            f"no training can exceed {100 * best:.0f} %: mix the samples before [network] train_samples cuts them, or "
            "take more"
        )
    everyone = set(torch.unique(data.test_y).tolist())
    if len(part.test_y) < len(data.test_y) and (untested := sorted(everyone - tested)):
        yield (
            f"the {len(part.test_y)} test samples hold none of {_classes(untested)}: mix the samples before [network] "
            "test_samples cuts them, or take more"
        )


def _classes(labels: Sequence[int]) -> str:
    """Labels in words.

    >>> _classes([3, 4, 5, 9]), _classes([7])
    ('the classes 3 to 5 and 9', 'class 7')
    """
    if len(labels) == 1:
        return f"class {labels[0]}"
    runs: list[list[int]] = []
    for label in labels:
        if runs and label == runs[-1][-1] + 1:
            runs[-1].append(label)
        else:
            runs.append([label])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(map(str, run)) for run in runs]
    more = f" and {len(words) - 6} more runs" if len(words) > 6 else ""
    if 1 < len(words) <= 6:
        return f"the classes {', '.join(words[:-1])} and {words[-1]}"
    return f"the classes {', '.join(words[:6])}{more}"
