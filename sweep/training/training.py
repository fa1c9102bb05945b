"""``train``: trains trials of one network together in one process."""

from collections.abc import Sequence
from traceback import clear_frames
from typing import Any, TypeAlias

from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.contents import check_digests
from vcm_sweep.sweep.training.checkpoint import load_checkpoint, new_start
from vcm_sweep.sweep.training.stackable import stack_key
from vcm_sweep.sweep.training.stacked_training import StackedTraining, State
from vcm_sweep.sweep.training.trial_progress import TrialProgress
from vcm_sweep.sweep.training.turns import give_memory_back, turns
from vcm_sweep.sweep.trial import Trial, TrialRecord


def train(
    trials: Sequence[Trial],
    data_dir: str | None = None,
    device: str = "cpu",
    checkpoints: str | None = None,
    checkpoint_s: float = 300.0,
    *,
    data: DataSet | None = None,
) -> list[TrialRecord]:
    """The records of the given trials, in their order, trained together.

    All trials must have the same data and network; those that cannot be stacked, since they differ in more than cells,
    seeds, data orders and learning rates (:mod:`vcm_sweep.sweep.training.stackable`), are trained one stack after the
    other. On a CPU with one thread a trial gives the same bits whatever is trained beside it. A trial whose numbers
    are no longer finite is frozen and recorded as diverged.

    Args:
        trials: at least one.
        data_dir: torchvision root, see :func:`vcm_sweep.sweep.data.sets.load`.
        device: torch's name of the device, "cpu" or "cuda".
        checkpoints: folder (path or URI) for the states of unfinished trials; a trial that has a state there continues
            from it.
        checkpoint_s: seconds between two saved states; 0: none are saved.
        data: all samples of the trials' data set, if the caller has them already.

    A trial that takes longer than its ``deadline_s`` is frozen after the batch in which that happens, and recorded as
    timeout. The time of the pack is divided among its trials: that of programming in proportion to their pulses, the
    rest equally. An interrupt (Ctrl-C, SIGINT) waits for the end of the batch; then all states are saved and
    KeyboardInterrupt is raised.

    Raises:
        StudyError: trials that cannot be stacked, or a data set or network that cannot be used.
    """
    name = _common_data(trials)
    everything = load(name, data_dir) if data is None else data
    check_digests(trials[0].inputs["network"], everything, trials[0].start)
    records: dict[str, TrialRecord] = {}
    waiting = _groups(trials, checkpoints)
    while waiting:
        group, states = waiting.pop()
        spec = group[0].inputs["network"]
        chosen = everything.first(spec["train_samples"], spec["test_samples"], spec.get("validation_samples", 0))
        _check_filled(group[0], len(chosen.train_y), spec["batch"])
        with turns.get().making:
            run = StackedTraining(group, spec, chosen, "cpu")
            unfit = run.unfit(states)
            run.shares.pause()
        if unfit:
            waiting += _without(unfit, group, states)
            continue
        with turns.get().training:
            try:
                run.shares.resume()
                run.move(device)
                run.restore(states)
                run.fit(checkpoints if checkpoint_s else None, checkpoint_s)
                records |= {record.key: record for record in run.records()}
                if run.active:
                    waiting.append(([group[k] for k in run.active], run.states(run.active)))
            except BaseException as error:
                # Its frames hold all tensors, and the next pack moves to the GPU as soon as this turn ends.
                clear_frames(error.__traceback__)
                raise
            finally:
                del run
                give_memory_back()
    return [records[trial.key] for trial in trials]


def _common_data(trials: Sequence[Trial]) -> str:
    """The data set of the trials; StudyError if they have not one data set, own model and start in common."""
    if not trials:
        raise StudyError("train() needs at least one trial")
    first = trials[0].inputs["network"]
    for trial in trials[1:]:
        for field in ("data", "data_digest", "model_digest", "start_digest"):
            if trial.inputs["network"].get(field) != first.get(field):
                raise StudyError(f"trials of a pack must agree on [network] {field}: run them in separate packs")
    return str(first["data"])


def _check_filled(trial: Trial, samples: int, batch: int) -> None:
    """Raise StudyError if a last batch has to be filled up and the noise management does not scale by the vector.

    A sample that fills a batch has errors of 0. Noise management such as ABS_MAX reads a zero vector as zeros; without
    it, noise would be added, and the sample would fire pulses.
    """
    management = trial.inputs["device"]["io"].get("noise_management", "ABS_MAX")
    perfect = trial.inputs["device"]["io"].get("is_perfect", False)
    if management in ("NONE", "CONSTANT") and not perfect and samples % batch:
        raise StudyError(
            f"[network] {samples} training samples must be a multiple of batch = {batch} with noise_management = "
            f"{management!r}: set train_samples = {samples - samples % batch or batch}, or another batch"
        )


_Group: TypeAlias = tuple[list[Trial], list[State]]
"""Trials with their saved states, all at the same step, so that they can be stacked."""


def _groups(trials: Sequence[Trial], checkpoints: str | None) -> list[_Group]:
    """The trials that can be stacked, by the step at which they continue; those that have stopped are a group too."""
    groups: dict[Any, _Group] = {}
    for trial in trials:
        state = load_checkpoint(checkpoints, trial.key) if checkpoints else None
        progress = state[1] if state else TrialProgress()
        place = "stopped" if progress.stopped else (progress.epoch, progress.batch)
        members = groups.setdefault((place, stack_key(trial.inputs)), ([], []))
        members[0].append(trial)
        members[1].append(state)
    return list(groups.values())


def _without(unfit: Sequence[int], group: Sequence[Trial], states: Sequence[State]) -> list[_Group]:
    """The group split in two: the trials in ``unfit``, which start anew, and the others with their states."""
    for k in unfit:
        new_start(f"of trial {group[k].key}", "it is not of this network and schedule")
    rest = [k for k in range(len(group)) if k not in unfit]
    anew: _Group = ([group[k] for k in unfit], [None] * len(unfit))
    return [anew, ([group[k] for k in rest], [states[k] for k in rest])] if rest else [anew]
