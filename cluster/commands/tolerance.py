"""``vcm-sweep tolerance``: how much of each nonideality can be tolerated."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.exit_codes import EXIT_INTERRUPTED
from vcm_sweep.cluster.options import Place, RunOptions, add_pack_option, add_place_options, positive
from vcm_sweep.cluster.terminal.printing import prose, show
from vcm_sweep.cluster.terminal.waiting import bar


def add_tolerance_commands(command: AddCommand) -> None:
    """Add the subcommand that searches for tolerances."""
    sub = command("tolerance", _tolerance, "search how far factors may go, or go on searching")
    sub.add_argument("study", type=Path, help="study file (TOML); its [tolerance] table is the question")
    sub.add_argument("--question", choices=("one", "joint", "trade-off"), help="default: the study's own, or one")
    wanted = sub.add_mutually_exclusive_group()
    wanted.add_argument("--target", type=float, help="mean accuracy to keep, 0 to 1")
    wanted.add_argument("--drop", type=float, help="what may be lost of the nominal device's accuracy, 0 to 1")
    sub.add_argument("--against", choices=("energy", "tolerance"), help="of a trade-off")
    sub.add_argument("--trials", type=positive, help="trainings of the search; more go on where fewer have ended")
    sub.add_argument("--out", help="results folder of the study, path or URI; default runs/<name>-<hash>")
    sub.add_argument("--deadline-s", type=float, help="wall time of a training in seconds; default: the study's own")
    add_place_options(sub)
    add_pack_option(sub)


def _tolerance(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis.tolerance import find_tolerances
    from vcm_sweep.analysis.tolerance.answer import FOLDER
    from vcm_sweep.cluster.ray_executor.resources import PackNeeds
    from vcm_sweep.cluster.running.packs import pack_of
    from vcm_sweep.cluster.running.places import executor_of, places_of, settings_of
    from vcm_sweep.cluster.running.run_study import with_run_options
    from vcm_sweep.cluster.running.watched import watched
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import checkpoint_folder, default_directory
    from vcm_sweep.sweep.study.study import Study

    options = RunOptions.of(arguments)
    study = with_run_options(Study.from_toml(arguments.study), options)
    study.check()  # before sizes of packs are tried
    spec = _spec(study, arguments)
    folder = Folder(options.out or default_directory(study))
    settings = settings_of(options.place, study)
    checkpoints = None
    if study.run.checkpoint_s:
        checkpoints = checkpoint_folder(folder / FOLDER)
        settings = dataclasses.replace(settings, checkpoints=checkpoints, checkpoint_s=study.run.checkpoint_s)
    workers = places_of(options.place, PackNeeds.of(study.run, settings.device))
    with bar(study.name, quiet=options.json):
        pack = pack_of(study, settings, options.place)
    executor = executor_of(options.place, study, settings)
    try:
        with (
            _held(options.place),
            watched(f"{study.name}: tolerance", folder / FOLDER, executor, quiet=options.json) as progress,
        ):
            answer = find_tolerances(
                study, executor, folder, spec=spec, pack=pack, batch=2 * workers * pack, progress=progress,
                checkpoints=checkpoints,
            )  # fmt: skip
    except KeyboardInterrupt:
        print(
            f"\nvcm-sweep: interrupted; all that was trained is kept in {folder / FOLDER}: the same command goes on",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    _say(study, folder, answer, options.json)
    return 0


def _spec(study: Any, arguments: argparse.Namespace) -> Any:
    """The study's question with the given options in its place, checked like the [tolerance] table."""
    from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec

    names = ("question", "target", "drop", "against", "trials")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return (study.tolerance or ToleranceSpec()).asked(given, tuple(factor.name for factor in study.factors))


def _held(place: Place) -> Any:
    """A connection to Ray for the whole search; otherwise each round would start and end a cluster of its own."""
    from contextlib import closing, nullcontext

    if place.in_process:
        return nullcontext()
    from vcm_sweep.cluster.ray_executor.connection import Connection

    return closing(Connection(place.address, place.cpus))


def _say(study: Any, folder: Any, answer: Any, as_json: bool) -> None:
    from vcm_sweep.analysis.tolerance.answer import FOLDER
    from vcm_sweep.analysis.tolerance.optuna_study import FILE
    from vcm_sweep.analysis.tolerance.search import optuna_place
    from vcm_sweep.cluster.terminal.tables import tolerance_table

    where = {
        "folder": str(folder / FOLDER),
        "dashboard": f"optuna-dashboard sqlite:///{optuna_place(study, folder) / FILE}",
    }
    if as_json:
        print(json.dumps(answer.to_dict() | where))
        return
    print(prose(*answer.answer()), tolerance_table(answer), *map(prose, answer.remarks), sep="\n\n")
    print()
    show(where, as_json)
