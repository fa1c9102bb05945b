"""`status`, `logs`, `stop` and `fetch` of a study that a service has, by the address of its page."""

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from vcm_sweep.cluster.exit_codes import EXIT_INTERRUPTED
from vcm_sweep.cluster.terminal.printing import show
from vcm_sweep.sweep.errors import StoreError

if TYPE_CHECKING:
    from vcm_sweep.cluster.client import RemoteStudy

_FOLLOW_S = 2.0
_LINES = 10_000


def remote_study(where: str) -> "RemoteStudy | None":
    """The study of a service, where ``where`` is the address of its page; None for a folder."""
    if not where.startswith(("http://", "https://")):
        return None
    from vcm_sweep.cluster.client import remote_study

    return remote_study(where)


def remote_status(study: "RemoteStudy", arguments: argparse.Namespace) -> int:
    """Show how far it is; with --watch until its run is over."""
    from vcm_sweep.cluster.client import OPEN
    from vcm_sweep.cluster.terminal.words import log_line
    from vcm_sweep.sweep.session.tally import Figures

    try:
        while arguments.watch and (card := study.card())["state"] in OPEN:
            figures = (study.view()["session"] or {}).get("figures", {})
            print(json.dumps(card) if arguments.json else log_line(study.id, Figures(**figures)), flush=True)
            time.sleep(arguments.interval)
    except KeyboardInterrupt:  # the usual way to stop watching; it does not concern the run
        return EXIT_INTERRUPTED
    view = study.view()
    card, session = view["card"], view["session"] or {}
    if view["trouble"]:
        raise StoreError(view["trouble"])
    values: dict[str, Any] = {"study": card["name"], "trials": view["trainings"], **view["counts"]}
    if arguments.json:
        show(values | {"state": card["state"], "reason": card["reason"], "run": session}, True)
        return 0
    values["run"] = f"{session['id']}: {card['state']}" if session else card["state"]
    values |= {"reason": card["reason"]} if card["reason"] else {}
    if card["state"] == "running":
        values["now"] = log_line("running", Figures(**session["figures"])).partition(": ")[2]
    show(values, False)
    return 0


def remote_logs(study: "RemoteStudy", arguments: argparse.Namespace) -> int:
    """Print the last lines of the log of its latest run; with --follow those that come."""
    from vcm_sweep.cluster.client import OPEN
    from vcm_sweep.cluster.terminal.words import event_words

    if arguments.all:
        raise StoreError("--all: a service tells of the latest run alone: fetch the study, and ask its copy")
    printed: list[dict[str, Any]] = []
    while True:
        # The state is read before the log: what a run wrote before it ended is then in the log that follows.
        over = study.card()["state"] not in OPEN
        lines = study.log(_LINES)
        known = lines.index(printed[-1]) + 1 if printed and printed[-1] in lines else 0
        for line in lines[known:]:
            print(json.dumps(line) if arguments.json else event_words(line), flush=True)
        if not printed and len(lines) == _LINES:
            print(f"the last {_LINES:,} lines; fetch has all of them", file=sys.stderr)
        printed = lines
        if over or not arguments.follow:
            return 0
        try:
            time.sleep(_FOLLOW_S)
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED


def remote_stop(study: "RemoteStudy", arguments: argparse.Namespace) -> int:
    """Ask its run to stop."""
    from vcm_sweep.cluster.client import OPEN

    study.stop()
    until = time.monotonic() + (arguments.wait or 0)
    state = study.state
    while state in OPEN and time.monotonic() < until:
        time.sleep(1.0)
        state = study.state
    show({"run": study.id, "asked_to_stop": True, "state": state}, arguments.json)
    return 0


def remote_fetch(study: "RemoteStudy", arguments: argparse.Namespace) -> int:
    """Copy its results folder to this machine."""
    copied = study.fetch(arguments.local, progress=not arguments.json)
    show({"folder": str(arguments.local), "copied": copied}, arguments.json)
    return 0
