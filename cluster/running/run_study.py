"""Running a study from the command line: making its executor, and what is printed at the end."""

import dataclasses
import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from vcm_sweep.cluster.exit_codes import EXIT_FAILED_TRIALS, EXIT_INTERRUPTED
from vcm_sweep.cluster.options import Place, RunOptions
from vcm_sweep.cluster.running.gpu import gpu_fault
from vcm_sweep.cluster.terminal.printing import show

_UNTRIED_GPU_PACK = 64


def with_run_options(study: Any, options: RunOptions) -> Any:
    """The study with its [run] table changed as the options say."""
    from vcm_sweep.sweep.study.tables.run import RunSpec

    given = {name: value for name in ("pack", "deadline_s") if (value := getattr(options, name)) is not None}
    checked = RunSpec.from_table(given)
    return dataclasses.replace(
        study, run=dataclasses.replace(study.run, **{name: getattr(checked, name) for name in given})
    )


def run_study(study: Any, options: RunOptions, conclude: Callable[[Any], dict[str, Any]] | None = None) -> int:
    """Run a study in its folder, print the outcome and what may come next, and return the exit code.

    ``conclude`` makes, from the results, the values that are shown in place of the report.
    """
    from vcm_sweep.sweep.designs.build import checked_design
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import default_directory
    from vcm_sweep.sweep.store import holds_study

    checked_design(study)  # before sizes of packs are tried
    folder = Folder(options.out or default_directory(study))
    try:
        done = run_once(study, options, conclude)
    except KeyboardInterrupt:
        if not holds_study(folder):
            raise
        how_to_go_on(folder, options.json)
        return EXIT_INTERRUPTED
    counts = done.results.counts()
    failed = sum(counts.values()) - counts["ok"]
    show({"folder": str(folder), **counts, **done.report, **_next(folder, study, failed, done.report)}, options.json)
    return EXIT_FAILED_TRIALS if failed else 0


class Done(NamedTuple):
    """A run that went through: its results, the values shown for the report, and the trials per pack."""

    results: Any
    report: dict[str, Any]
    pack: int


def run_once(study: Any, options: RunOptions, conclude: Callable[[Any], dict[str, Any]] | None = None) -> Done:
    """Run the trials that a study's folder lacks, as the options say; ``conclude`` as in :func:`run_study`."""
    from vcm_sweep.cluster.running.reports import written_report
    from vcm_sweep.cluster.running.watched import watched
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import checkpoint_folder, default_directory, run

    study = with_run_options(study, options)
    folder = Folder(options.out or default_directory(study))
    settings = settings_of(options.place)
    if settings.device == "cuda":
        from vcm_sweep.sweep.study.gpu_support import check_gpu_study

        check_gpu_study(study.device, study.factors)
    if study.run.checkpoint_s:
        checkpoints = checkpoint_folder(folder)
        settings = dataclasses.replace(settings, checkpoints=checkpoints, checkpoint_s=study.run.checkpoint_s)
    pack = pack_of(study, settings, options.place.workers)
    executor = executor_of(options.place, study, settings)
    with watched(study.name, folder, executor, quiet=options.json) as progress:
        results = run(study, executor, options.out, progress, options.retry, pack, options.reuse)
        return Done(results, {} if options.no_report else (conclude or written_report)(results), pack)


def how_to_go_on(folder: Any, as_json: bool, *options: str) -> None:
    """Say what is kept after an interrupt, and the command that continues; ``options``: further options for it."""
    from vcm_sweep.sweep.store.results import open_results

    counts = open_results(folder).counts()
    total = sum(counts.values())
    command = _command("resume", folder, *options)
    if as_json:
        show({"folder": str(folder), **counts, "interrupted": True, "next": command}, as_json)
    print(
        f"\nvcm-sweep: interrupted; {total - counts['missing']} of {total} trials are kept in {folder}; "
        f"go on with: {command}",
        file=sys.stderr,
    )


def _next(folder: Any, study: Any, failed: int, report: dict[str, str]) -> dict[str, str]:
    """The commands that a user may want to run next."""
    if failed:
        return {"next": f"{_command('retry', folder)} (the trials that failed, once more)"}
    longer = f"{_command('extend', folder, '--to', 2 * study.design.n)} (twice the points)"
    if "no_report" in report and study.design.method == "sobol":
        return {"next": longer}
    return {"next": _command("analyze", folder), "or": longer}


def _command(name: str, folder: Any, *options: object) -> str:
    return shlex.join(["vcm-sweep", name, str(folder), *map(str, options)])


def settings_of(place: Place) -> Any:
    """The settings of the workers for a place; StudyError if its options contradict each other."""
    from vcm_sweep.cluster.ray_executor.tasks import TrainSettings
    from vcm_sweep.sweep.data.sets import DATA_VARIABLE
    from vcm_sweep.sweep.errors import StudyError

    if place.in_process and place.address:
        raise StudyError(f"--in-process trains here, and --address {place.address} elsewhere: leave one out")
    # With Ray the driver's machine needs no GPU: the executor looks for a node that has one.
    if place.device == "cuda" and place.in_process and (fault := gpu_fault()):
        raise StudyError(f"--device cuda cannot be used here ({fault}): leave the option out to train on the CPU")
    # Paths are made absolute, since workers have another working directory.
    given = place.data_dir or os.environ.get(DATA_VARIABLE)
    data_dir = str(Path(given).resolve()) if given else None
    return TrainSettings(data_dir=data_dir, import_dir=os.getcwd(), device=place.device)


def pack_of(study: Any, settings: Any, workers: int) -> int:
    """The study's pack size; if it names none, one that is chosen by trying some."""
    if study.run.pack:
        return int(study.run.pack)
    import torch

    from vcm_sweep.sweep.packs.size import choose_pack

    if settings.device != "cpu" and not torch.cuda.is_available():
        # There is no GPU here on which to try sizes. If the pack is too large for memory, the run halves it.
        return _UNTRIED_GPU_PACK
    torch.set_num_threads(1)
    return choose_pack(study, settings.data_dir, workers, settings.device)


def executor_of(place: Place, study: Any, settings: Any, task: Any = None) -> Any:
    """The executor for a study's trials at a place; it runs ``task``, which is training by default."""
    from vcm_sweep.cluster.ray_executor.tasks import limit_threads, train_from
    from vcm_sweep.sweep.data.sets import load

    # The data are found or downloaded once, here, where a failure is an error of one line.
    data = load(study.network.data, settings.data_dir)
    if place.in_process:
        from vcm_sweep.sweep.packs.executor import InProcessExecutor

        # The same number of threads as on a worker: more would only wait for each other, and change the last bits.
        limit_threads(study.run.cpus_per_pack)
        return InProcessExecutor(task or functools.partial(train_from, settings), study.run.retries)
    from vcm_sweep.cluster.ray_executor.executor import RayExecutor
    from vcm_sweep.cluster.ray_executor.resources import PackNeeds
    from vcm_sweep.sweep.data.shared_data import SharedData

    # Nodes need no data folder: the data are sent to them from here.
    task = functools.partial(task or functools.partial(train_from, settings), data=SharedData(data))
    needs = PackNeeds.of(study.run, settings.device)
    wait_s = float(place.wait_for_nodes)
    return RayExecutor(task, place.address, place.cpus, needs, study.run.retries, wait_s=wait_s)
