"""The options of all subcommands that run trials: how they are added to a parser, and the values that were given."""

import argparse
import dataclasses
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def add_place_options(sub: argparse.ArgumentParser) -> None:
    """Add the options that say where trials are trained, for all that plans or runs trials."""
    sub.add_argument("--data-dir", type=Path, help="folder that holds MNIST (torchvision root)")
    sub.add_argument("--address", help="of a running Ray cluster; default: start one on this machine")
    sub.add_argument(
        "--wait-for-nodes", type=positive, default=0, metavar="S",
        help="seconds to wait for the first node that can run a pack, as where an autoscaler brings it",
    )  # fmt: skip
    sub.add_argument("--cpus", type=positive, help="cores to use on this machine; default all")
    sub.add_argument("--in-process", action="store_true", help="run in this process, without Ray")
    sub.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")


def add_pack_option(sub: argparse.ArgumentParser) -> None:
    """Add the option that says how many trials are trained side by side."""
    sub.add_argument("--pack", type=positive, help="trials trained side by side; default: the study's own")


def add_run_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of all subcommands that run trials."""
    add_place_options(sub)
    add_pack_option(sub)
    sub.add_argument("--deadline-s", type=float, help="wall time of a trial in seconds; default: the study's own")
    sub.add_argument("--no-report", action="store_true", help="do not write the report at the end")


def add_until_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of subcommands that make a study longer by themselves."""
    sub.add_argument(
        "--until", type=float, metavar="H",
        help="make the study longer until half the interval of every ranking index is at most H, as 0.05",
    )  # fmt: skip
    sub.add_argument("--budget-trials", type=positive, metavar="N", help="with --until: trainings in all, at most")
    sub.add_argument("--budget-hours", type=float, metavar="H", help="with --until: hours of this command, at most")
    sub.add_argument("--metric", help="with --until: whose indices; default accuracy")
    sub.add_argument("--policy", help="with --until: of failed trainings: fail (default), drop-block or worst-case")


@dataclass(frozen=True)
class Place:
    """Where trials are trained.

    Attributes:
        data_dir: torchvision root; None: the folder in the variable VCM_SWEEP_DATA.
        address: of a running Ray cluster; None: one is started on this machine.
        wait_for_nodes: seconds to wait for the first node that can run a pack. cpus: cores of this machine; None: all.
        in_process: train in this process, without Ray. device: "cpu" or "cuda".
    """

    data_dir: Path | str | None = None
    address: str | None = None
    wait_for_nodes: int = 0
    cpus: int | None = None
    in_process: bool = False
    device: str = "cpu"

    @property
    def cores(self) -> int:
        """The cores of this machine that packs may use."""
        return self.cpus or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class RunOptions:
    """How a study is run.

    Attributes:
        place: where trials are trained. out: results folder, path or URI; None: the study's default.
        pack, deadline_s: replace those of the study's [run] table; None: keep them.
        retry: statuses of failed trials to run once more; True: all. reuse: folders whose equal records are taken over.
        no_report: write no report at the end. json: print for programs.
    """

    place: Place = Place()
    out: str | None = None
    pack: int | None = None
    deadline_s: float | None = None
    retry: Collection[str] | bool = False
    reuse: Sequence[str] = ()
    no_report: bool = False
    json: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace, **own: Any) -> "RunOptions":
        """The parsed options, some replaced by ``own``; options that the subcommand lacks have their defaults."""
        return cls(**{"place": Place(**_given(Place, arguments)), **_given(cls, arguments), **own})


@dataclass(frozen=True)
class UntilOptions:
    """The goal for which a study is made longer, and its budget; see :func:`vcm_sweep.analysis.run_until`."""

    until: float
    budget_trials: int | None = None
    budget_hours: float | None = None
    metric: str = "accuracy"
    policy: str = "fail"

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "UntilOptions | None":
        """The parsed options; None without --until, StudyError if options that need --until are given without it."""
        from vcm_sweep.sweep.errors import StudyError

        given = {name: value for name, value in _given(cls, arguments).items() if value is not None}
        if not given:
            return None
        if "until" not in given:
            option = next(iter(given)).replace("_", "-")
            raise StudyError(f"--{option} goes with --until: give that as well, for example --until 0.05")
        return cls(**given)


def in_words(options: Place | UntilOptions) -> list[str]:
    """The options that are not at their defaults, written as on a command line.

    >>> in_words(Place(data_dir="/data", in_process=True)), in_words(UntilOptions(0.05, budget_trials=500))
    (['--data-dir', '/data', '--in-process'], ['--until', '0.05', '--budget-trials', '500'])
    """
    words: list[str] = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            words += [f"--{field.name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words


def _given(kind: type[Place | RunOptions | UntilOptions], arguments: argparse.Namespace) -> dict[str, Any]:
    """The parsed values of a class's fields, which have the same names as the options."""
    return {
        field.name: getattr(arguments, field.name)
        for field in dataclasses.fields(kind)
        if hasattr(arguments, field.name)
    }


def positive(text: str) -> int:
    """Convert an argument to a whole number of at least 1; argparse reports one that is not."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 1")
    return value
