"""``vcm-sweep status``, ``analyze``, ``report`` and ``compare``: the subcommands that read results folders."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.commands.remote import remote_status, remote_study
from vcm_sweep.cluster.commands.shared import AddCommand, factor_part, once
from vcm_sweep.cluster.exit_codes import EXIT_INTERRUPTED
from vcm_sweep.cluster.options import positive
from vcm_sweep.cluster.terminal.printing import prose, show
from vcm_sweep.cluster.terminal.waiting import bar


def add_result_commands(command: AddCommand) -> None:
    """Add the subcommands that read results."""
    sub = command("status", _status, "show how far a study is, and what its run is doing")
    sub.add_argument(
        "dirs",
        nargs="*",
        metavar="dir",
        help="results folders, paths or URIs, or pages of a service; default: the latest run in runs/",
    )
    sub.add_argument("--watch", action="store_true", help="go on showing it until the run is over; --json: one a line")
    sub.add_argument("--interval", type=positive, default=2, metavar="S", help="seconds between two looks (default 2)")
    sub = command("analyze", _analyze, "print the sensitivity indices of a study")
    sub.add_argument("dir", help="results folder, path or URI")
    _add_analysis(sub)
    sub.add_argument(
        "--within", type=factor_part, action="append", default=[], metavar="F=LOW:HIGH",
        help="analyse only the points whose factor F lies there, as a study of that part; repeatable",
    )  # fmt: skip
    sub = command("report", _report, "write the report of a study: a page, its pictures, the numbers")
    sub.add_argument("dir", help="results folder, path or URI")
    _add_analysis(sub)
    sub.add_argument("--out", metavar="DIR", help="where to (default: the results folder; of a URI reports/<name>)")
    sub = command("compare", _compare, "put two studies side by side: is the difference real?")
    sub.add_argument("one", help="results folder, path or URI")
    sub.add_argument("other", help="results folder, path or URI")
    _add_analysis(sub)
    sub.add_argument("--out", metavar="DIR", help="where the page goes (default reports/<one>-against-<other>)")


def _add_analysis(sub: argparse.ArgumentParser) -> None:
    """Add the options that say what is analysed, and how."""
    sub.add_argument("--metric", default="accuracy", help="what varies: accuracy, energy, pulses, p_diverged, ...")
    sub.add_argument("--method", default="", help="default: the design's own, bounded first; or sobol, hdmr, pawn, ...")
    sub.add_argument("--policy", default="fail", help="of failed trainings: fail, drop-block or worst-case")


def _status(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.status import latest_run
    from vcm_sweep.sweep.errors import StudyError

    folders = arguments.dirs or [latest_run(Path("runs"))]
    if arguments.watch and len(folders) > 1:
        raise StudyError(f"--watch follows one run, and {len(folders)} folders are given: give one")
    codes = []
    for number, folder in enumerate(folders):
        if number and not arguments.json:
            print()
        study = remote_study(folder)
        codes.append(remote_status(study, arguments) if study else _status_of(folder, arguments))
    return max(codes)


def _status_of(folder: str, arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.status import run_status, watch
    from vcm_sweep.sweep.store.results import open_results

    results = open_results(folder)
    if arguments.watch:
        try:
            watch(folder, results.study.name, arguments.interval, arguments.json)
        except KeyboardInterrupt:  # the usual way to stop watching; it does not concern the run
            return EXIT_INTERRUPTED
        # The run is over by now, so its records are counted again.
        results = open_results(folder)
    values: dict[str, Any] = {"study": results.study.name} | ({} if folder in arguments.dirs else {"folder": folder})
    values |= {"trials": len(results.design), **results.counts()}
    show(values | run_status(folder, plain=arguments.json), arguments.json)
    return 0


def _analyze(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import analyze
    from vcm_sweep.analysis.records.provisional import finished_part
    from vcm_sweep.analysis.studies.second_opinion import second_opinions
    from vcm_sweep.cluster.terminal.tables import index_table
    from vcm_sweep.sweep.errors import StudyError
    from vcm_sweep.sweep.store.results import open_results

    results = open_results(arguments.dir)
    if arguments.within and results.study.design.method in ("limits", "conditions"):
        raise StudyError("--within is for studies that rank factors: leave it out")
    _refuse_method(results, arguments.method)
    if results.study.design.method == "limits":
        from vcm_sweep.cluster.commands.limits import analyze_limits

        return analyze_limits(arguments, results)
    if results.study.conditions:
        from vcm_sweep.cluster.commands.conditions import analyze_conditions

        return analyze_conditions(arguments, results)
    within = once("--within", arguments.within)
    with bar("analyze", quiet=arguments.json) as step:
        results = finished_part(results)
        result = analyze(results, arguments.metric, method=arguments.method, policy=arguments.policy, within=within)
        step("second opinions")
        opinions = second_opinions(results, result, arguments.policy, within)
    if arguments.json:
        print(json.dumps(result.to_dict() | {"second_opinions": [opinion.to_dict() for opinion in opinions]}))
        return 0
    said = [prose(" ".join(result.answer(arguments.metric))), index_table(result)]
    if opinions:
        said.append(prose("Second opinion:", *(opinion.words() for opinion in opinions)))
    print(*said, sep="\n\n")
    return 0


def _refuse_method(results: Any, method: str) -> None:
    """Raise AnalysisError for a method of indices where a study has none."""
    from vcm_sweep.analysis import AnalysisError

    design = results.study.design.method
    what = {"limits": "a limits study", "conditions": "a study of conditions"}.get(design, "")
    if what and method not in ("", design):
        raise AnalysisError(f"--method {method}: {what} has no points to compute it from; leave the option out")


def _report(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import AnalysisError
    from vcm_sweep.cluster.running.reports import place_of, report_at
    from vcm_sweep.sweep.store.results import open_results

    results = open_results(arguments.dir)
    _refuse_method(results, arguments.method)
    target = Path(arguments.out) if arguments.out else place_of(results.folder)
    how = {"method": arguments.method, "policy": arguments.policy}
    with bar("report", quiet=arguments.json):
        said = report_at(target, results, arguments.metric, **how)
    show(said, arguments.json)
    return AnalysisError.exit_code if "no_ranking" in said else 0


def _compare(arguments: argparse.Namespace) -> int:
    from vcm_sweep.analysis import AnalysisError, compare_studies, write_comparison
    from vcm_sweep.cluster.commands.conditions import compare_conditions
    from vcm_sweep.cluster.terminal.tables import comparison_table
    from vcm_sweep.sweep.store.results import open_results

    one, other = open_results(arguments.one), open_results(arguments.other)
    if os.path.realpath(one.folder.path) == os.path.realpath(other.folder.path):
        raise AnalysisError(f"{arguments.one} and {arguments.other} are one folder: name two studies to compare")
    found: Any
    _refuse_method(one, arguments.method)
    _refuse_method(other, arguments.method)
    names = [str(results.folder).rstrip("/").rpartition("/")[2] for results in (one, other)]
    with bar("compare", quiet=arguments.json) as step:
        step("the two studies")
        if one.study.conditions and other.study.conditions:
            found, write, table = compare_conditions(arguments, one, other)
        else:
            found = compare_studies(one, other, arguments.metric, method=arguments.method, policy=arguments.policy)
            write, table = write_comparison, comparison_table(found)
        step("the page")
        page = write(found, arguments.out or Path("reports") / "-against-".join(names))
    if arguments.json:
        print(json.dumps(found.to_dict() | {"report": str(page)}))
    else:
        print(prose(" ".join(found.answer())), table, f"report  {page}", sep="\n\n")
    return 0
