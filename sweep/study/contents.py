"""Digests of what a study names but does not contain: the user's own data, model and first weights; part of keys."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vcm_sweep.sweep.data.sets import DataSet, fingerprint, is_own, load, sample_shape
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.networks.first_weights import set_start
from vcm_sweep.sweep.networks.own_model import own_model_digest
from vcm_sweep.sweep.networks.presets import build_network

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.tables.network import NetworkSpec


def digests(network: "NetworkSpec") -> dict[str, str]:
    """``data_digest``, ``model_digest`` and ``start_digest``, each only if the network names own data and so on.

    Raises:
        StudyError: one line; the data, model or weights cannot be used.
    """
    found = {}
    if is_own(network.data):
        found["data_digest"] = fingerprint(load(network.data))
    if network.model:
        found["model_digest"] = own_model_digest(network.model, *sample_shape(network.data))
    if network.preset == "lenet" and is_own(network.data):
        build_network(network.plain(), *sample_shape(network.data))  # refuses samples that are no such images
    if network.start:
        digital = build_network(network.plain(), *sample_shape(network.data))
        found["start_digest"] = set_start(digital, network.start)
    return found


def check_digests(spec: Mapping[str, Any], data: DataSet, start: str) -> None:
    """Raise StudyError if data, model or weights on a worker are not those with which the study was read.

    Args:
        spec: canonical [network] table with the digests.
        data: all samples, as the worker loaded them.
        start: file of first weights, or "".
    """
    here: dict[str, str] = {}
    if "data_digest" in spec:
        here["data"] = fingerprint(data)
    if "model_digest" in spec:
        here["model"] = own_model_digest(spec["model"], tuple(data.train_x.shape[1:]), data.classes)
    if "start_digest" in spec and start:
        digital = build_network(spec, data.train_x.shape[1:], data.classes)
        here["start"] = set_start(digital, start)
    for name, digest in here.items():
        if digest != spec[f"{name}_digest"]:
            what = spec.get(name, start)
            raise StudyError(
                f"[network] {name} = {what!r} has other content where it is trained ({digest}) than in the study "
                f"({spec[f'{name}_digest']}): let all machines see the same files, and do not change them during a run"
            )
