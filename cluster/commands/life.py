"""``vcm-sweep resume``, ``retry`` and ``extend``: continue a study in its results folder, without the study file."""

import argparse
import shlex
from typing import Any

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.options import RunOptions, UntilOptions, add_run_options, add_until_options, positive
from vcm_sweep.cluster.running.run_study import run_study
from vcm_sweep.cluster.running.run_until import run_until_known
from vcm_sweep.cluster.terminal.printing import show


def add_life_commands(command: AddCommand) -> None:
    """Add the subcommands that continue a study in its results folder."""
    sub = command("resume", _resume, "go on with a study that was stopped")
    _add_common(sub)
    add_until_options(sub)
    sub = command("retry", _retry, "run trials that failed once more, and what is missing")
    sub.add_argument("--only", metavar="STATUSES", help="of these statuses, with commas: timeout,oom; default all")
    _add_common(sub)
    sub = command("extend", _extend, "make a study longer and run what is new; what is finished is kept")
    sub.add_argument("--to", type=positive, metavar="N", help="base points or points (a power of 2), or trajectories")
    sub.add_argument("--replicates", type=positive, metavar="R", help="runs of every point")
    sub.add_argument("--replicate-rows", type=int, metavar="M", help="points that are run once more")
    sub.add_argument("--no-run", action="store_true", help="change the folder only; resume runs it")
    _add_common(sub)


def _add_common(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("dir", help="results folder, path or URI")
    add_run_options(sub)


def _resume(arguments: argparse.Namespace) -> int:
    options, goal = RunOptions.of(arguments, out=arguments.dir), UntilOptions.of(arguments)
    study = _study(arguments.dir)
    return run_until_known(study, options, goal) if goal else run_study(study, options)


def _retry(arguments: argparse.Namespace) -> int:
    options = RunOptions.of(arguments, out=arguments.dir, retry=statuses(arguments.only))
    return run_study(_study(arguments.dir), options)


def _extend(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.designs.build import build_design
    from vcm_sweep.sweep.running.extension import extend

    before, after = extend(arguments.dir, arguments.to, arguments.replicates, arguments.replicate_rows)
    added = len(build_design(after)) - len(build_design(before))
    changes = {
        name: f"{old} -> {new}"
        for name, old in before.design.plain().items()
        if (new := after.design.plain()[name]) != old
    }
    if arguments.no_run:
        next_command = shlex.join(["vcm-sweep", "resume", arguments.dir])
        show({"folder": arguments.dir, **changes, "trials_added": added, "next": next_command}, arguments.json)
        return 0
    if not arguments.json:
        show({**changes, "trials_added": added}, arguments.json)
    return run_study(after, RunOptions.of(arguments, out=arguments.dir))


def statuses(text: str | None) -> Any:
    """The statuses in a list with commas, as ``run`` takes them; True (all failures) for None."""
    from vcm_sweep.sweep.errors import StudyError
    from vcm_sweep.sweep.running.running import FAILURES

    if text is None:
        return True
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FAILURES:
            raise StudyError(f"--only {name!r} must be one or more of {', '.join(FAILURES)}, separated by commas")
    return tuple(names)


def _study(directory: str) -> Any:
    from vcm_sweep.sweep.store import Store

    return Store.open(directory).study
