"""``vcm-sweep compact`` and ``merge``: the subcommands that tidy results folders and bring them together."""

import argparse
from typing import Any

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.terminal.printing import show


def add_store_commands(command: AddCommand) -> None:
    """Add the subcommands that tidy results folders."""
    sub = command("compact", _compact, "merge the many small files of a results folder into few large ones")
    sub.add_argument("dir", help="results folder, or its URI")
    sub.add_argument(
        "--skip-bad", action="store_true",
        help="set files aside that are torn or foreign, and forget missing ones; run does their trainings again",
    )  # fmt: skip
    sub = command("merge", _merge, "bring the records of results folders of one study together")
    sub.add_argument("dirs", nargs="+", metavar="DIR", help="results folders, or their URIs; they stay as they are")
    sub.add_argument("--into", required=True, metavar="DIR", help="folder of the same study, made if there is none")


def _compact(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.store import Store

    with Store.open(arguments.dir) as store:
        done = store.compact(arguments.skip_bad)
    values: dict[str, Any] = {
        "folder": arguments.dir, "records": done.rows, "files": done.parts_after, "files_before": done.parts_before,
        "bytes": done.bytes_after, "bytes_before": done.bytes_before,
    }  # fmt: skip
    if done.set_aside:
        values["set_aside"] = list(done.set_aside) if arguments.json else ", ".join(done.set_aside)
    show(values, arguments.json)
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.store.merging import merge

    taken = merge(arguments.dirs, arguments.into)
    show({"folder": arguments.into, **{f"from {name}": count for name, count in taken.items()}}, arguments.json)
    return 0
