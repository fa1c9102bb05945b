"""``vcm-sweep submit``, ``jobs``, ``logs``, ``stop`` and ``fetch``: studies that run elsewhere.

All except ``submit`` only look at results folders, so they work from any machine, even when the cluster is down.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.commands.remote import remote_fetch, remote_logs, remote_stop, remote_study
from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.exit_codes import EXIT_INTERRUPTED
from vcm_sweep.cluster.options import RunOptions, positive
from vcm_sweep.cluster.terminal.printing import show

_FOLLOW_S = 2.0


def add_job_commands(command: AddCommand) -> None:
    """Add the subcommands for studies that run elsewhere."""
    sub = command("submit", _submit, "start a study on a running Ray cluster, and return at once")
    sub.add_argument("study", type=Path, help="study file (TOML)")
    sub.add_argument("--address", required=True, help="dashboard of the cluster's head, http://head:8265")
    where = sub.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--out", help="results folder that this machine and the cluster can reach: s3://..., shared path"
    )
    where.add_argument("--root", help="folder of results folders; this one becomes ROOT/<name>-<hash>")
    sub.add_argument("--python", help="interpreter on the cluster; default: that of its workers")
    sub.add_argument("--data-dir", help="folder on the cluster's machines that holds MNIST (torchvision root)")
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    sub.add_argument(
        "--wait-for-nodes", type=positive, default=0, metavar="S", help="seconds to wait for the first fitting node"
    )
    sub.add_argument("--take", type=Path, action="append", default=[], metavar="PATH", help="also take along; repeat")
    sub.add_argument("--no-report", action="store_true", help="do not write the report at the end")

    sub = command("jobs", _jobs, "list the studies of a folder of results folders, and what each is doing")
    sub.add_argument("root", help="folder of results folders, path or URI")

    sub = command("logs", _logs, "show the log of a study's latest run, a line per trial")
    sub.add_argument("dir", help="results folder, path or URI; or the page of a service")
    sub.add_argument("-f", "--follow", action="store_true", help="wait for more, until the run is over")
    sub.add_argument("--all", action="store_true", help="all runs, not the latest alone")

    sub = command("stop", _stop, "stop the run of a study, as Ctrl-C would")
    sub.add_argument("dir", help="results folder, path or URI; or the page of a service")
    sub.add_argument("--wait", type=positive, metavar="S", help="wait up to so many seconds until it has stopped")

    sub = command("fetch", _fetch, "copy results to this machine, or go on with that")
    sub.add_argument("dir", help="results folder, path or URI; or the page of a service")
    sub.add_argument("local", type=Path, help="folder on this machine")


def _submit(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.submit import submit

    job = submit(arguments.study, RunOptions.of(arguments), arguments.root, arguments.python, arguments.take)
    for warning in job.warnings:
        print(f"vcm-sweep: {warning}", file=sys.stderr)
    folder = shlex.quote(job.folder)
    values: dict[str, Any] = {"job": job.id, "session": job.session, "folder": job.folder, "shipped_mb": job.megabytes}
    if not arguments.json:
        for name, verb in (("watch", "status --watch"), ("log", "logs -f"), ("stop", "stop"), ("copy", "fetch")):
            values[name] = f"vcm-sweep {verb} {folder}" + (" LOCAL" if verb == "fetch" else "")
    show(values, arguments.json)
    return 0


def _jobs(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.job_list import job_list, job_table

    jobs = job_list(arguments.root)
    print(json.dumps([job.to_plain() for job in jobs]) if arguments.json else job_table(jobs, arguments.root))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.terminal.words import event_words
    from vcm_sweep.sweep.session.log import read_log
    from vcm_sweep.sweep.session.state import latest_session

    if study := remote_study(arguments.dir):
        return remote_logs(study, arguments)
    folder = _results_folder(arguments.dir)
    known: dict[str, int] = {}
    while True:
        session = latest_session(folder)
        # The state is read before the log: what a run wrote before it ended is then in the log that follows.
        over = session is None or not session.open
        only = None if arguments.all or session is None else session.id
        for segment, position, line in read_log(folder, only, known):
            known[segment] = position
            print(json.dumps(line) if arguments.json else event_words(line), flush=True)
        if over or not arguments.follow:
            return 0
        try:
            time.sleep(_FOLLOW_S)
        except KeyboardInterrupt:  # the usual way to stop watching; it does not concern the run
            return EXIT_INTERRUPTED


def _stop(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.stopping import ask_to_stop
    from vcm_sweep.sweep.session.state import latest_session

    if study := remote_study(arguments.dir):
        return remote_stop(study, arguments)
    folder = _results_folder(arguments.dir)
    session = ask_to_stop(folder)
    until = time.monotonic() + (arguments.wait or 0)
    state = session.state
    while arguments.wait and time.monotonic() < until:
        time.sleep(1.0)
        now = latest_session(folder)
        state = now.state if now else state
        if now is None or now.id != session.id or not now.open:
            break
    show({"run": session.id, "asked_to_stop": True, "state": state, "go_on": session.command}, arguments.json)
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.jobs.fetching import fetch

    if study := remote_study(arguments.dir):
        return remote_fetch(study, arguments)
    copied = fetch(_results_folder(arguments.dir), arguments.local, quiet=arguments.json)
    values = {"folder": str(arguments.local), "copied": copied.files, "there": copied.kept, "mb": copied.megabytes}
    show(values, arguments.json)
    return 0


def _results_folder(where: str) -> Any:
    """The results folder at ``where``; StoreError if it holds no study."""
    from vcm_sweep.sweep.errors import StoreError
    from vcm_sweep.sweep.folder import Folder
    from vcm_sweep.sweep.store.frozen import not_results

    folder = Folder(where)
    try:
        there = folder.exists("study.toml")
    except OSError as error:
        raise StoreError(f"{where} cannot be read ({str(error).splitlines()[0]}): is it the right place?") from None
    if not there:
        raise not_results(folder)
    return folder
