"""How many trials share a pack: the study's own number, or one that is tried where packs run."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.ray_executor.resources import PackNeeds
from vcm_sweep.cluster.ray_executor.tasks import TrainSettings
from vcm_sweep.cluster.running.gpu import gpu_fault
from vcm_sweep.cluster.running.places import executor_of, places_of
from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.data.shared_data import SharedData
from vcm_sweep.sweep.designs.build import build_design
from vcm_sweep.sweep.errors import ExecutorError, StudyError
from vcm_sweep.sweep.study.study import Study
from vcm_sweep.sweep.trial import Trial, TrialRecord
from vcm_sweep.sweep.user_code import search_in

# Making many cells takes minutes, whatever a training may take.
_LEAST_S = 3600.0


@dataclass(frozen=True)
class Sized(TrialRecord):
    """The record of a trial with which the size of packs was found: ``pack`` is that size."""

    pack: int = 0


@dataclass(frozen=True)
class Question:
    """What a worker is asked about packs.

    Attributes:
        settings: of the workers. place: where packs run. needs: of a pack.
        asked: the study's own number of trials per pack; 0: it is to be found.
        total: number of trials of the study. trials: a sample of them.
        places: number of packs side by side; 0: as many as the cluster has, which only the worker can tell.
    """

    settings: TrainSettings
    place: Place
    needs: PackNeeds
    asked: int
    total: int
    trials: list[Trial]
    places: int

    def __call__(self, chosen: Sequence[Trial], data: SharedData | None = None) -> list[TrialRecord]:
        """Runs on a worker: the records of the chosen trials, with the size of packs."""
        search_in(self.settings.import_dirs)
        spec = self.trials[0].inputs["network"]
        pack = self._pack(data.data if data else load(spec["data"], self.settings.data_dir))
        return [Sized(t.key, t.point, t.replicate, t.factors, t.seed, "ok", pack=pack) for t in chosen]

    def _pack(self, data: DataSet) -> int:
        from vcm_sweep.sweep.packs.size import choose_pack

        device = self.settings.device
        if device == "cuda" and (fault := gpu_fault()):
            raise StudyError(f"--device cuda cannot be used on {platform.node()} ({fault})")
        places = self.places or places_of(self.place, self.needs)
        sharing = places if device == "cpu" else 1 if self.place.in_process else self.needs.packs_per_gpu
        if not self.asked:
            return choose_pack(self.trials, data, device, total=self.total, places=places, sharing=sharing)
        check_memory(self.asked, self.trials, data, device, sharing)
        return self.asked


def check_memory(pack: int, trials: Sequence[Trial], data: DataSet, device: str, sharing: int = 1) -> None:
    """Raise StudyError if a pack of such trials does not fit into its share of the memory of a GPU."""
    import torch

    from vcm_sweep.sweep.packs.size import free_bytes, pack_memory

    memory, free = pack_memory(trials, data), free_bytes(device) / sharing
    if memory is None or memory.bytes(pack) <= free:
        return
    most = memory.most(free)
    fix = f"take pack = {most}, or --pack {most}" if most else "not even one training fits: train on the CPU"
    raise StudyError(
        f"[run] pack = {pack} takes some {memory.bytes(pack) / 2**30:.2g} GB of a GPU, and {free / 2**30:.2g} GB of "
        f"{torch.cuda.get_device_name(device)} are free for it: {fix}"
    )


def pack_of(study: Study, settings: TrainSettings, place: Place) -> int:
    """The study's pack size; if it names none, one that is chosen by trying some, on a worker if packs run on a GPU.

    Raises:
        StudyError: the study's own size does not fit into the memory of a GPU.
        ExecutorError: no size could be tried.
    """
    from vcm_sweep.sweep.packs.size import sample

    asked, device = int(study.run.pack), settings.device
    if asked and device == "cpu":
        return asked
    design = build_design(study)
    trials = sample(design, device)
    needs = PackNeeds.of(study.run, device)
    places = 0 if place.address and device != "cpu" else places_of(place, needs)
    question = Question(settings, place, needs, asked, len(design), trials, places)
    # Sizes are tried where packs run. On a CPU that is as good here, and needs no cluster.
    where = place if device != "cpu" else replace(place, in_process=True, address=None)
    first = replace(trials[0], deadline_s=max(_LEAST_S, trials[0].deadline_s))
    (answer,) = (record for part in executor_of(where, study, settings, question).run([[first]]) for record in part)
    if not isinstance(answer, Sized):
        if asked:
            raise ExecutorError(f"pack = {asked} could not be tried ({answer.reason}): vcm-sweep doctor tells more")
        raise ExecutorError(f"no size of packs could be tried ({answer.reason}): give one by --pack")
    return answer.pack
