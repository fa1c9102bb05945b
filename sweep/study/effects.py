"""Refuses factors that would not act on a study's trials, or whose range has no one meaning."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.catalogue import entry
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.tables.aihwkit_fields import aihwkit_default
from vcm_sweep.sweep.study.tables.device import is_physical
from vcm_sweep.sweep.study.tables.network import NetworkSpec

_LAYER = ("io", "update")
_MANAGEMENT = ("device", "io", "noise_management")
_PULSES = ("STOCHASTIC_COMPRESSED", "STOCHASTIC", "MEAN_COUNT")
_IMPLICIT = ("DETERMINISTIC_IMPLICIT",)
_ITERATIVE = ("ITERATIVE", "ITERATIVE_WORST_CASE")
# Fields of [device.io] and [device.update] that act only while another one has one of some words.
_NEEDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "nm_thres": ("noise_management", ("ABS_MAX", "ABS_MAX_NP_SUM", "MAX", "CONSTANT")),
    "inp_asymmetry": ("mv_type", ("POS_NEG_SEPARATE", "POS_NEG_SEPARATE_DIGITAL_SUM")),
    "w_noise": ("w_noise_type", ("ADDITIVE_CONSTANT", "PCM_READ")),
    "max_bm_factor": ("bound_management", _ITERATIVE),
    "res": ("pulse_type", _PULSES),
    "x_res_implicit": ("pulse_type", _IMPLICIT),
    "d_res_implicit": ("pulse_type", _IMPLICIT),
    "desired_bl": ("pulse_type", (*_PULSES, *_IMPLICIT)),
}


def check_effects(network: NetworkSpec, device: Mapping[str, Any], factors: Sequence[Factor]) -> None:
    """Raise StudyError for a factor that does nothing in a study, or that sets what another one sets.

    Args:
        network: the study's network.
        device: canonical [device] table.
        factors: the study's factors.
    """
    fields: dict[tuple[str, ...], str] = {}
    for factor in factors:
        known = entry(factor.name)
        assert known is not None, "checked when the factor was read"
        if problem := known.problem(factor.low, factor.high):
            raise StudyError(f"factor {factor.name}: {problem}")
        if factor.path in fields:
            raise StudyError(f"factors {fields[factor.path]} and {factor.name} set the same field: keep one")
        fields[factor.path] = factor.name
    managements = next((_words(factor) for factor in factors if factor.path == _MANAGEMENT), set())
    for factor in factors:
        for why in _without_effect(factor.path, network, device, fields):
            raise StudyError(f"factor {factor.name} has no effect{why}")
        if factor.path in (("network", "batch"), ("network", "train_samples")):
            _check_filling(factor.name, device["io"], managements)


def check_samples(network: NetworkSpec, device: Mapping[str, Any], factors: Sequence[Factor], samples: int) -> None:
    """Raise StudyError for factors that do not suit the number of training samples of the study's data."""
    varied = [factor for factor in factors if factor.path == ("network", "train_samples")]
    for factor in varied:
        span = f"factor {factor.name}: range = [{factor.low:g}, {factor.high:g}]"
        if factor.high > samples:
            raise StudyError(f"{span} ends beyond the {samples} training samples of {network.data!r}: end it there")
        if factor.low <= network.validation_samples:
            raise StudyError(
                f"{span} begins within the [network] validation_samples = {network.validation_samples} that are held "
                "out: begin it above"
            )
    left = ((network.train_samples or samples) - network.validation_samples) % network.batch
    for factor in factors:
        if factor.path == _MANAGEMENT and left and not varied:
            _check_filling(f"{factor.name} with [network] batch = {network.batch}", device["io"], _words(factor))


def _words(factor: Factor) -> set[str]:
    return {factor.law.text(level) for level in factor.law.levels}


def _without_effect(
    path: tuple[str, ...], network: NetworkSpec, device: Mapping[str, Any], varied: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    """Why a factor does nothing, and what to do, to follow 'has no effect'."""
    root, table, *_ = path
    if root == "network":
        yield from _on_training(table, network, varied)
    elif table in _LAYER:
        yield from _on_layer(table, path[-1], device, varied)
    elif (table == "settings") == is_physical(dict(device)):
        which = "VCM cells" if is_physical(dict(device)) else device["aihwkit"]
        yield (
            f" on the study's device ({which}): aihwkit.<field> is for aihwkit's own devices; io, update and network "
            "are for both, all others for VCM cells"
        )


def _on_layer(
    table: str, field: str, device: Mapping[str, Any], varied: Mapping[tuple[str, ...], str]
) -> Iterator[str]:
    if table == "io" and device["io"].get("is_perfect", False) and field != "out_scale":
        yield ": [device.io] is_perfect = true makes reads exact products: leave it out"
    other, words = _NEEDS.get(field, ("", ()))
    if other and ("device", table, other) not in varied:
        given = device[table].get(other, aihwkit_default(table, other))
        if given not in words:
            yield f": [device.{table}] {other} is {given!r}: give {' or '.join(map(repr, words))}"


def _on_training(field: str, network: NetworkSpec, varied: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    if field == "activation" and network.model:
        yield ": [network] model has its own: leave it out"
    if field == "init" and network.start:
        yield ": [network] start gives the first weights: leave it out"
    if field == "lr_gamma" and not network.lr_step_epochs and ("network", "lr_step_epochs") not in varied:
        yield ": [network] lr_step_epochs is 0: give it"
    if field == "lr_step_epochs" and network.lr_gamma == 1.0 and ("network", "lr_gamma") not in varied:
        yield ": [network] lr_gamma is 1: give it"


def _check_filling(name: str, io: Mapping[str, Any], varied: set[str]) -> None:
    """Raise StudyError where a last batch that is not full would be read with noise, see ``training.train``."""
    managements = varied or {io.get("noise_management", aihwkit_default("io", "noise_management"))}
    for management in sorted(managements & {"NONE", "CONSTANT"}):
        if not io.get("is_perfect", False):
            raise StudyError(
                f"factor {name} makes last batches that are not full, which noise_management = {management!r} reads as "
                "noise: choose 'ABS_MAX', or leave it out"
            )
