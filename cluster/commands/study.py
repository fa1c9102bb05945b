"""``vcm-sweep plan`` and ``run``: the subcommands that start from a study file."""

import argparse
from pathlib import Path

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.options import (
    RunOptions,
    UntilOptions,
    add_pack_option,
    add_place_options,
    add_run_options,
    add_until_options,
)
from vcm_sweep.cluster.running.run_study import run_study
from vcm_sweep.cluster.running.run_until import run_until_known
from vcm_sweep.cluster.terminal.printing import aligned, show
from vcm_sweep.cluster.terminal.waiting import bar


def add_study_commands(command: AddCommand) -> None:
    """Add the subcommands that start from a study file."""
    sub = command("plan", _plan, "show what a study would run, and what it would cost")
    sub.add_argument("study", nargs="?", type=Path, help="study file (TOML)")
    sub.add_argument("--out", help="results folder, path or URI; default runs/<name>-<hash>")
    add_place_options(sub)
    add_pack_option(sub)
    sub.add_argument("--no-pilot", action="store_true", help="do not measure the time of a trial")
    sub.add_argument("--pilot-s", type=float, default=60.0, help="seconds for more than eight rows (60)")
    sub.add_argument("--failure-rate", type=float, default=0.01, help="share of trainings that fail (0.01)")
    sub.add_argument("--factors", action="store_true", help="list all factors that a study can vary")

    sub = command("run", _run, "run a study, or go on with it")
    sub.add_argument("study", type=Path, help="study file (TOML)")
    sub.add_argument("--out", help="results folder, path or URI (s3://...); default runs/<name>-<hash>")
    sub.add_argument("--reuse", nargs="+", default=(), metavar="DIR", help="take equal records over from these folders")
    sub.add_argument("--retry", action="store_true", help="run trials that failed once more")
    add_run_options(sub)
    add_until_options(sub)


def _plan(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.errors import StudyError

    if arguments.factors:
        from vcm_sweep.sweep.study.catalogue import CATALOGUE

        spans = {
            name: f"{len(e.words)} words" if e.words else f"{e.low:g} .. {e.high:g}{', whole' * e.whole}"
            for name, e in CATALOGUE.items()
        }
        if arguments.json:
            show({name: f"{spans[name]} {e.unit}: {e.meaning}" for name, e in CATALOGUE.items()}, True)
            return 0
        rows = [(name, spans[name], e.unit, e.meaning) for name, e in CATALOGUE.items()]
        print(aligned([("factor", "range", "unit", "meaning"), *rows]))
        return 0
    if arguments.study is None:
        raise StudyError("plan needs a study file (or --factors)")
    pilot_s = None if arguments.no_pilot else arguments.pilot_s
    with bar("plan", quiet=arguments.json):
        from vcm_sweep.cluster.running.plan import planned
        from vcm_sweep.sweep.study.study import Study

        study = Study.from_toml(arguments.study)
        values, words = planned(study, RunOptions.of(arguments), pilot_s, arguments.failure_rate)
    show(values if arguments.json else words, arguments.json)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.study.study import Study

    study = Study.from_toml(arguments.study)
    options, goal = RunOptions.of(arguments), UntilOptions.of(arguments)
    return run_until_known(study, options, goal) if goal else run_study(study, options)
