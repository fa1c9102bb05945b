"""The command line. Each subcommand imports what it needs, so that --help is quick.

Exit codes: 0 done; 1 a bug of ours (with traceback); 2 a study, option or device that cannot be used; 3 a results
folder; 4 the cluster; 5 an analysis that the data does not carry; 6 done, but trials (or doctor's checks) failed;
130 interrupted.
"""

import argparse
import dataclasses
import functools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .device_commands import add_device_commands

EXIT_FAILED_TRIALS = 6
EXIT_INTERRUPTED = 130
_EXIT_CODES = (
    "exit codes: 0 done; 2 study, option or device; 3 results folder; 4 cluster; 5 analysis; "
    "6 done, but trials or checks failed; 130 interrupted"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    arguments = _parser().parse_args(argv)
    from vcm_sweep.device.errors import VcmSweepError

    try:
        return int(arguments.command(arguments))
    except VcmSweepError as error:
        print(f"vcm-sweep: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "\nvcm-sweep: interrupted; what was finished is kept, run the same command again to go on", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vcm-sweep",
        description="Which nonideality of a memristive (VCM) cell costs a neural network the most accuracy?",
        epilog=_EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=_EXIT_CODES)
        sub.set_defaults(command=function)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    sub = command("plan", _plan, "show what a study would run, and what it would cost")
    sub.add_argument("study", nargs="?", type=Path, help="study file (TOML)")
    sub.add_argument("--out", type=Path, help="results folder; default runs/<name>-<hash>")
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--cpus", type=_positive, help="cores that run would use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="plan a run in one process, without Ray")
    sub.add_argument("--no-pilot", action="store_true", help="do not measure the time of a trial")
    sub.add_argument("--factors", action="store_true", help="list all factors that a study can vary")

    sub = command("run", _run, "run a study, or go on with it")
    sub.add_argument("study", type=Path, help="study file (TOML)")
    sub.add_argument("--out", type=Path, help="results folder; default runs/<name>-<hash>")
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--address", help="of a running Ray cluster; default: start one on this machine")
    sub.add_argument("--cpus", type=_positive, help="cores to use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="run in this process, without Ray")
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train; cuda needs --in-process")
    sub.add_argument("--retry", action="store_true", help="run trials that failed once more")
    sub.add_argument("--no-report", action="store_true", help="do not write the report at the end")

    sub = command("status", _status, "show how far a study is")
    sub.add_argument("dir", type=Path, help="results folder")
    sub = command("analyze", _analyze, "print the sensitivity indices of a study")
    sub.add_argument("dir", type=Path, help="results folder")
    sub.add_argument("--metric", default="accuracy", help="column of the records (default accuracy)")
    sub = command("report", _report, "write the report of a study")
    sub.add_argument("dir", type=Path, help="results folder")
    text = "cells: library, sensitivities, fits to measurements, pictures"
    add_device_commands(commands.add_parser("device", help=text, description=text, epilog=_EXIT_CODES), _EXIT_CODES)
    command("doctor", _doctor, "check that this installation works")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _data_dir(arguments: argparse.Namespace) -> str | None:
    """Absolute, since workers run elsewhere."""
    from vcm_sweep.sweep.data import DATA_VARIABLE

    given = arguments.data_dir or os.environ.get(DATA_VARIABLE)
    return str(Path(given).resolve()) if given else None


def _show(arguments: argparse.Namespace, values: dict[str, Any]) -> None:
    if arguments.json:
        print(json.dumps(values))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        print(f"{name.replace('_', ' '):<{width}}  {value}")


def _plan(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.errors import StudyError

    if arguments.factors:
        from vcm_sweep.sweep.factors import CATALOGUE

        rows = {name: f"{e.low:g} .. {e.high:g} {e.unit}: {e.meaning}" for name, e in CATALOGUE.items()}
        _show(arguments, rows)
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
    _show(arguments, values)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.running import checkpoint_folder, default_directory, run
    from vcm_sweep.sweep.study import Study

    from .progress import ProgressBar

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
    with ProgressBar(study.name, quiet=arguments.json) as bar:
        results = run(study, _executor(arguments, settings), directory, bar, arguments.retry, pack)
    counts = results.counts()
    values: dict[str, Any] = {"folder": str(directory), **counts}
    failed = sum(counts.values()) - counts["ok"]
    if not arguments.no_report:
        values |= _written_report(results, directory)
    _show(arguments, values)
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


def _written_report(results: Any, directory: Path) -> dict[str, str]:
    from vcm_sweep.analysis import write_report
    from vcm_sweep.device.errors import VcmSweepError

    try:
        return {"report": str(write_report(results, directory))}
    except VcmSweepError as error:
        return {"no_report": str(error)}


def _status(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.results import open_results

    results = open_results(arguments.dir)
    counts = results.counts()
    _show(arguments, {"study": results.study.name, "trials": len(results.design), **counts})
    return 0


def _analyze(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import analyze
    from vcm_sweep.sweep.results import open_results

    from .tables import index_table

    result = analyze(open_results(arguments.dir), arguments.metric)
    if arguments.json:
        print(json.dumps(result.to_dict()))
    else:
        print(" ".join(result.answer(arguments.metric)), index_table(result), sep="\n\n")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import write_report
    from vcm_sweep.sweep.results import open_results

    _show(arguments, {"report": str(write_report(open_results(arguments.dir), arguments.dir))})
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import examine

    checks = examine()
    if arguments.json:
        print(json.dumps([vars(check) for check in checks]))
    else:
        for check in checks:
            print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.detail}")
    return 0 if all(check.passed for check in checks) else EXIT_FAILED_TRIALS


if __name__ == "__main__":
    sys.exit(main())
