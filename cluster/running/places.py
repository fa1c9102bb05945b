"""Where packs run: the settings of their workers, the executor, and how many run side by side."""

import functools
import os
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.running.gpu import gpu_fault
from vcm_sweep.sweep.errors import StudyError

_MOST_PER_CORE = 2


def settings_of(place: Place, study: Any) -> Any:
    """The settings of the workers for a place; StudyError if they cannot train the study there."""
    from vcm_sweep.cluster.ray_executor.tasks import TrainSettings
    from vcm_sweep.sweep.data.sets import DATA_VARIABLE
    from vcm_sweep.sweep.user_code import own_folders

    if place.in_process and place.address:
        raise StudyError(f"--in-process trains here, and --address {place.address} elsewhere: leave one out")
    # On a cluster elsewhere the driver's machine needs no GPU: the executor looks for a node that has one.
    if place.device == "cuda" and not place.address and (fault := gpu_fault()):
        raise StudyError(f"--device cuda cannot be used here ({fault}): leave the option out to train on the CPU")
    if place.device == "cuda":
        from vcm_sweep.sweep.study.gpu_support import check_gpu_study

        study.check_each(check_gpu_study)
    # Paths are made absolute, since workers have another working directory.
    given = place.data_dir or os.environ.get(DATA_VARIABLE)
    data_dir = str(Path(given).resolve()) if given else None
    return TrainSettings(data_dir=data_dir, import_dirs=tuple(own_folders()), device=place.device)


def checked_data(place: Place, study: Any, settings: Any) -> Any:
    """The study's data, found or downloaded once, here; StudyError if the study cannot be trained with them here."""
    from vcm_sweep.sweep.data.sets import load
    from vcm_sweep.sweep.packs.size import check_size
    from vcm_sweep.sweep.study.cautions import Setting
    from vcm_sweep.sweep.study.effects import check_samples

    cores = len(os.sched_getaffinity(0))
    if not place.address and place.cores > _MOST_PER_CORE * cores:
        raise StudyError(f"--cpus {place.cpus} is far more than the {cores} cores of this machine: leave it out")
    data = load(study.network.data, settings.data_dir)

    def check(setting: Setting) -> None:
        network = setting.network
        check_samples(network, setting.device, setting.factors, len(data.train_y))
        data.first(network.train_samples, network.test_samples, network.validation_samples)
        if not place.address:
            check_size(network.plain(), data.train_x.shape[1:], data.classes)

    study.check_each(check)
    return data


def cautions_of(place: Place, study: Any, data: Any) -> tuple[str, ...]:
    """What makes the study's answer worthless, or the place a slow one, in sentences."""
    from vcm_sweep.sweep.study.cautions import cautions
    from vcm_sweep.sweep.study.gpu_support import pulsed_by_cpu

    slow = pulsed_by_cpu(study) if place.device == "cuda" else None
    return (*cautions(study.settings, data), *([slow] if slow else []))


def executor_of(place: Place, study: Any, settings: Any, task: Any = None) -> Any:
    """The executor for a study's trials at a place; it runs ``task``, which is training by default."""
    from vcm_sweep.cluster.ray_executor.tasks import limit_threads, train_from

    data = checked_data(place, study, settings)
    if place.in_process:
        from vcm_sweep.sweep.packs.executor import InProcessExecutor

        # The same number of threads as on a worker: more would only wait for each other, and change the last bits.
        limit_threads(study.run.cpus_per_pack)
        return InProcessExecutor(task or functools.partial(train_from, settings), study.run.retries)
    from vcm_sweep.cluster.ray_executor.executor import RayExecutor
    from vcm_sweep.sweep.data.shared_data import SharedData

    # Nodes need no data folder: the data are sent to them from here.
    task = functools.partial(task or functools.partial(train_from, settings), data=SharedData(data))
    needs = PackNeeds.of(study.run, settings.device)
    wait_s = float(place.wait_for_nodes)
    return RayExecutor(task, place.address, place.cpus, needs, study.run.retries, wait_s=wait_s)


def places_of(place: Place, needs: PackNeeds) -> int:
    """The number of packs that run side by side: on the cluster, if this process is connected to it, else here."""
    if place.in_process:
        return 1
    if place.address:
        import ray

        return max(1, needs.slots(ray.cluster_resources())) if ray.is_initialized() else place.cores
    import torch

    return max(1, needs.slots({"CPU": place.cores, "GPU": torch.cuda.device_count(), "memory": 2.0**60}))
