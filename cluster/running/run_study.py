"""Running a study from the command line, and what is printed at the end."""

import dataclasses
import shlex
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from vcm_sweep.cluster.exit_codes import EXIT_FAILED_TRIALS, EXIT_INTERRUPTED
from vcm_sweep.cluster.options import RunOptions
from vcm_sweep.cluster.terminal.printing import show
from vcm_sweep.cluster.terminal.waiting import bar


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
    from vcm_sweep.cluster.running.places import cautions_of, checked_data, settings_of
    from vcm_sweep.sweep.designs.build import checked_design
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import default_directory
    from vcm_sweep.sweep.store import holds_study

    checked_design(study)  # before sizes of packs are tried
    if why := study.design.no_verdict():
        print(f"vcm-sweep: {why}", file=sys.stderr)
    data = checked_data(options.place, study, settings_of(options.place, study))
    for said in cautions_of(options.place, study, data):
        print(f"vcm-sweep: beware: {said}", file=sys.stderr)
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
    from vcm_sweep.cluster.running.packs import pack_of
    from vcm_sweep.cluster.running.places import executor_of, settings_of
    from vcm_sweep.cluster.running.reports import written_report
    from vcm_sweep.cluster.running.watched import watched
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.running.running import checkpoint_folder, default_directory, run
    from vcm_sweep.sweep.store import open_source

    study = with_run_options(study, options)
    folder = Folder(options.out or default_directory(study))
    settings = settings_of(options.place, study)
    if study.run.checkpoint_s:
        checkpoints = checkpoint_folder(folder)
        settings = dataclasses.replace(settings, checkpoints=checkpoints, checkpoint_s=study.run.checkpoint_s)
    for source in options.reuse:
        open_source(source)  # refused before the time that sizes of packs take
    with bar(study.name, quiet=options.json):
        pack = pack_of(study, settings, options.place)
    executor = executor_of(options.place, study, settings)
    with watched(study.name, folder, executor, options.json, _held(folder, options.retry)) as progress:
        results = run(study, executor, options.out, progress, options.retry, pack, options.reuse)
        return Done(results, {} if options.no_report else (conclude or written_report)(results), pack)


def _held(folder: Any, retry: Any) -> dict[str, int]:
    """Failures that a folder holds and that are not run again, by status."""
    from vcm_sweep.sweep.running.running import FAILURES
    from vcm_sweep.sweep.store import holds_study
    from vcm_sweep.sweep.store.results import open_results

    kept = set() if retry is True else set(FAILURES) - set(retry or ())
    if not kept or not holds_study(folder):
        return {}
    return {status: count for status, count in open_results(folder).counts().items() if count and status in kept}


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
    if "no_ranking" in report or "next" in report:
        return {}
    longer = f"{_command('extend', folder, '--to', 2 * study.design.n)} (twice the points)"
    if study.conditions:
        longer = f"{_command('extend', folder, '--replicates', 2 * study.design.replicates)} (twice the trainings)"
    if "no_report" in report and study.design.method in ("sobol", "space"):
        return {"next": longer}
    return {"next": _command("analyze", folder), "or": longer}


def _command(name: str, folder: Any, *options: object) -> str:
    return shlex.join(["vcm-sweep", name, str(folder), *map(str, options)])
