"""``vcm-sweep plan`` and ``run``."""

import argparse
import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

from .commands import EXIT_FAILED_TRIALS, AddCommand, positive, show


def add_study_commands(command: AddCommand) -> None:
    """What is given a study file."""
    sub = command("plan", _plan, "show what a study would run, and what it would cost")
    sub.add_argument("study", nargs="?", type=Path, help="study file (TOML)")
    sub.add_argument("--out", type=Path, help="results folder; default runs/<name>-<hash>")
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--cpus", type=positive, help="cores that run would use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="plan a run in one process, without Ray")
    sub.add_argument("--no-pilot", action="store_true", help="do not measure the time of a trial")
    sub.add_argument("--factors", action="store_true", help="list all factors that a study can vary")

    sub = command("run", _run, "run a study, or go on with it")
    sub.add_argument("study", type=Path, help="study file (TOML)")
    sub.add_argument("--out", type=Path, help="results folder; default runs/<name>-<hash>")
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--address", help="of a running Ray cluster; default: start one on this machine")
    sub.add_argument("--cpus", type=positive, help="cores to use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="run in this process, without Ray")
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train; cuda needs --in-process")
    sub.add_argument("--retry", action="store_true", help="run trials that failed once more")
    sub.add_argument("--no-report", action="store_true", help="do not write the report at the end")


def _data_dir(arguments: argparse.Namespace) -> str | None:
    """Absolute, since workers run elsewhere."""
    from vcm_sweep.sweep.data import DATA_VARIABLE

    given = arguments.data_dir or os.environ.get(DATA_VARIABLE)
    return str(Path(given).resolve()) if given else None


def _plan(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.errors import StudyError

    if arguments.factors:
        from vcm_sweep.sweep.factors import CATALOGUE

        rows = {name: f"{e.low:g} .. {e.high:g} {e.unit}: {e.meaning}" for name, e in CATALOGUE.items()}
        show(arguments, rows)
        return 0
    if arguments.study is None:
        raise StudyError("plan needs a study file (or --factors)")
    from vcm_sweep.sweep.corners import rates_in_words
    from vcm_sweep.sweep.running import default_directory, plan
    from vcm_sweep.sweep.study import Study

    study = Study.from_toml(arguments.study)
    directory = arguments.out or default_directory(study)
    settings = _settings(arguments)
    # What run chooses with the same options: it depends on how many packs run at a time.
    pack = study.run.pack if arguments.no_pilot else _pack(study, settings, _workers(arguments))
    size = plan(study, directory, pack)
    values: dict[str, Any] = {
        "study": f"{study.name}: {len(study.factors)} factors, n = {study.design.n}",
        "folder": str(directory),
        "rates": rates_in_words(study.device, study.factors),
        "points": size.points,
        "trials": size.trials,
        "done": size.done,
        "packs_to_run": size.packs if pack else "chosen by run",
    }
    if not arguments.no_pilot:
        from .pilot import pilot

        seconds = pilot(study, settings, pack)
        left = size.trials - size.done
        values["trials_per_pack"] = pack
        values["cpu_s_per_trial"] = f"{seconds:.2f} (pilot of one pack)"
        values["core_hours_to_run"] = f"{seconds * left / 3600:.2f}"
    show(arguments, values)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.running import checkpoint_folder, default_directory, run
    from vcm_sweep.sweep.study import Study

    from .result_commands import written_report
    from .watched import watched

    study = Study.from_toml(arguments.study)
    directory = arguments.out or default_directory(study)
    settings = _settings(arguments)
    if settings.device == "cuda":
        from vcm_sweep.sweep.corners import check_gpu_corners

        check_gpu_corners(study.device, study.factors)
    # Found or downloaded once, here, where a failure is one line.
    from vcm_sweep.sweep.data import load

    load(study.network.data, settings.data_dir)
    if study.run.checkpoint_s:
        folder = str(checkpoint_folder(directory.resolve()))
        settings = dataclasses.replace(settings, checkpoints=folder, checkpoint_s=study.run.checkpoint_s)
    pack = _pack(study, settings, _workers(arguments))
    executor = _executor(arguments, settings)
    with watched(study.name, directory, executor, quiet=arguments.json) as progress:
        results = run(study, executor, directory, progress, arguments.retry, pack)
        # Before the run says that it is done: whoever waits for that may fetch the report at once.
        report = {} if arguments.no_report else written_report(results, directory)
    counts = results.counts()
    values: dict[str, Any] = {"folder": str(directory), **counts, **report}
    failed = sum(counts.values()) - counts["ok"]
    show(arguments, values)
    return EXIT_FAILED_TRIALS if failed else 0


def _settings(arguments: argparse.Namespace) -> Any:
    from .tasks import TrainSettings

    device = getattr(arguments, "device", "cpu")
    if device == "cuda":
        import torch

        from vcm_sweep.sweep.errors import StudyError

        if not arguments.in_process:
            raise StudyError("--device cuda trains in this process only: add --in-process")
        if not torch.cuda.is_available():
            raise StudyError("--device cuda: torch sees no CUDA device here: leave the option out to train on the CPU")
    return TrainSettings(data_dir=_data_dir(arguments), import_dir=os.getcwd(), device=device)


def _workers(arguments: argparse.Namespace) -> int:
    """Packs that run at the same time on this machine."""
    return 1 if arguments.in_process else arguments.cpus or len(os.sched_getaffinity(0))


def _pack(study: Any, settings: Any, workers: int) -> int:
    """The study's pack size, or one that is chosen by trying some."""
    if study.run.pack:
        return int(study.run.pack)
    import torch

    from vcm_sweep.sweep.packing import choose_pack

    torch.set_num_threads(1)
    return choose_pack(study, settings.data_dir, workers, settings.device)


def _executor(arguments: argparse.Namespace, settings: Any) -> Any:
    from .tasks import train_from

    task = functools.partial(train_from, settings)
    if arguments.in_process:
        from vcm_sweep.sweep.executor import InProcessExecutor

        return InProcessExecutor(task)
    from .ray_executor import RayExecutor

    return RayExecutor(task, arguments.address, arguments.cpus)
