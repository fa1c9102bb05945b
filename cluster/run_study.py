"""Running a study from the command line: the options of all that runs, where it runs, what is said at the end."""

import argparse
import dataclasses
import functools
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .commands import EXIT_FAILED_TRIALS, EXIT_INTERRUPTED, positive
from .printing import show

_UNTRIED_GPU_PACK = 64


def add_place_options(sub: argparse.ArgumentParser) -> None:
    """Where trials are trained: of ``plan`` and of all that runs."""
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--address", help="of a running Ray cluster; default: start one on this machine")
    sub.add_argument(
        "--wait-for-nodes", type=positive, default=0, metavar="S",
        help="seconds to wait for the first node that can run a pack, as where an autoscaler brings it",
    )  # fmt: skip
    sub.add_argument("--cpus", type=positive, help="cores to use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="run in this process, without Ray")
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    sub.add_argument("--pack", type=positive, help="trials trained side by side; default: the study's own")


def add_run_options(sub: argparse.ArgumentParser) -> None:
    """Options of all that runs trials."""
    add_place_options(sub)
    sub.add_argument("--deadline-s", type=float, help="wall time of a trial in seconds; default: the study's own")
    sub.add_argument("--no-report", action="store_true", help="do not write the report at the end")


def with_run_options(study: Any, arguments: argparse.Namespace) -> Any:
    """The study with what the options say of its [run] table."""
    from vcm_sweep.sweep.specs import RunSpec

    given = {name: value for name in ("pack", "deadline_s") if (value := getattr(arguments, name, None)) is not None}
    checked = RunSpec.from_table(given)
    return dataclasses.replace(
        study, run=dataclasses.replace(study.run, **{name: getattr(checked, name) for name in given})
    )


def run_study(
    arguments: argparse.Namespace,
    study: Any,
    out: str | None,
    retry: Any = False,
    reuse: tuple[str, ...] = (),
    conclude: Callable[[Any], dict[str, Any]] | None = None,
) -> int:
    """Run a study in its folder, say what came of it and what may come next; the exit code.

    ``conclude`` makes of the results what is shown in the place of the report.
    """
    from vcm_sweep.sweep.designs import checked_design
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running import default_directory
    from vcm_sweep.sweep.store import holds_study

    checked_design(study)  # before sizes of packs are tried
    folder = Folder(out or default_directory(study))
    try:
        done = run_once(arguments, study, out, retry, reuse, not arguments.no_report, conclude)
    except KeyboardInterrupt:
        if not holds_study(folder):
            raise
        how_to_go_on(arguments, folder)
        return EXIT_INTERRUPTED
    counts = done.results.counts()
    failed = sum(counts.values()) - counts["ok"]
    show({"folder": str(folder), **counts, **done.report, **_next(folder, study, failed, done.report)}, arguments.json)
    return EXIT_FAILED_TRIALS if failed else 0


class Done(NamedTuple):
    """A run that went through: its results, what is said of the report, and the trials per pack."""

    results: Any
    report: dict[str, Any]
    pack: int


def run_once(
    arguments: argparse.Namespace,
    study: Any,
    out: str | None,
    retry: Any,
    reuse: tuple[str, ...],
    report: bool,
    conclude: Callable[[Any], dict[str, Any]] | None = None,
) -> Done:
    """Run what a study's folder lacks, where and how the options say; ``conclude`` as in :func:`run_study`."""
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running import checkpoint_folder, default_directory, run

    from .reports import written_report
    from .watched import watched

    study = with_run_options(study, arguments)
    folder = Folder(out or default_directory(study))
    settings = settings_of(arguments)
    if settings.device == "cuda":
        from vcm_sweep.sweep.corners import check_gpu_corners

        check_gpu_corners(study.device, study.factors)
    if study.run.checkpoint_s:
        place = checkpoint_folder(folder)
        settings = dataclasses.replace(settings, checkpoints=place, checkpoint_s=study.run.checkpoint_s)
    pack = pack_of(study, settings, workers_of(arguments))
    executor = executor_of(arguments, study, settings)
    with watched(study.name, folder, executor, quiet=arguments.json) as progress:
        results = run(study, executor, out, progress, retry, pack, reuse)
        return Done(results, (conclude or written_report)(results) if report else {}, pack)


def how_to_go_on(arguments: argparse.Namespace, folder: Any, *options: str) -> None:
    """Say what is kept, and the command that goes on."""
    from vcm_sweep.sweep.results import open_results

    counts = open_results(folder).counts()
    total = sum(counts.values())
    command = _command("resume", folder, *options)
    if arguments.json:
        show({"folder": str(folder), **counts, "interrupted": True, "next": command}, arguments.json)
    print(
        f"\nvcm-sweep: interrupted; {total - counts['missing']} of {total} trials are kept in {folder}; "
        f"go on with: {command}",
        file=sys.stderr,
    )


def _next(folder: Any, study: Any, failed: int, report: dict[str, str]) -> dict[str, str]:
    """Commands that may come next."""
    if failed:
        return {"next": f"{_command('retry', folder)} (the trials that failed, once more)"}
    longer = f"{_command('extend', folder, '--to', 2 * study.design.n)} (twice the points)"
    if "no_report" in report and study.design.method == "sobol":
        return {"next": longer}
    return {"next": _command("analyze", folder), "or": longer}


def _command(name: str, folder: Any, *options: object) -> str:
    return shlex.join(["vcm-sweep", name, str(folder), *map(str, options)])


def settings_of(arguments: argparse.Namespace) -> Any:
    """What workers are told."""
    from vcm_sweep.sweep.data import DATA_VARIABLE
    from vcm_sweep.sweep.errors import StudyError

    from .tasks import TrainSettings

    if arguments.in_process and arguments.address:
        raise StudyError(f"--in-process trains here, and --address {arguments.address} elsewhere: leave one out")
    # On a cluster this machine needs no GPU: the executor looks for a node that has one.
    if arguments.device == "cuda" and arguments.in_process:
        import torch

        if not torch.cuda.is_available():
            raise StudyError("--device cuda: torch sees no CUDA device here: leave the option out to train on the CPU")
    # Absolute, since workers run elsewhere.
    given = arguments.data_dir or os.environ.get(DATA_VARIABLE)
    data_dir = str(Path(given).resolve()) if given else None
    return TrainSettings(data_dir=data_dir, import_dir=os.getcwd(), device=arguments.device)


def workers_of(arguments: argparse.Namespace) -> int:
    """Packs that run at the same time on this machine."""
    return 1 if arguments.in_process else arguments.cpus or len(os.sched_getaffinity(0))


def pack_of(study: Any, settings: Any, workers: int) -> int:
    """The study's pack size, or one that is chosen by trying some."""
    if study.run.pack:
        return int(study.run.pack)
    import torch

    from vcm_sweep.sweep.packing import choose_pack

    if settings.device != "cpu" and not torch.cuda.is_available():
        # Nothing here to try sizes on. Out of memory, a pack is halved.
        return _UNTRIED_GPU_PACK
    torch.set_num_threads(1)
    return choose_pack(study, settings.data_dir, workers, settings.device)


def executor_of(arguments: argparse.Namespace, study: Any, settings: Any, task: Any = None) -> Any:
    """Where the options want the study's trials to run; what runs there is training, or another task."""
    from vcm_sweep.sweep.data import load

    from .tasks import limit_threads, train_from

    # Found or downloaded once, here, where a failure is one line.
    data = load(study.network.data, settings.data_dir)
    if arguments.in_process:
        from vcm_sweep.sweep.executor import InProcessExecutor

        # As on a worker: more threads than that spin, and change the last bits.
        limit_threads(study.run.cpus_per_pack)
        return InProcessExecutor(task or functools.partial(train_from, settings), study.run.retries)
    from vcm_sweep.sweep.shared_data import SharedData

    from .ray_executor import RayExecutor
    from .resources import PackNeeds

    # Nodes need no data folder: they are sent what this one has.
    task = functools.partial(task or functools.partial(train_from, settings), data=SharedData(data))
    needs = PackNeeds.of(study.run, settings.device)
    wait_s = float(arguments.wait_for_nodes)
    return RayExecutor(task, arguments.address, arguments.cpus, needs, study.run.retries, wait_s=wait_s)
