"""The command line ``vcm-sweep``. Each subcommand imports what it needs only when it runs, so that --help is quick.

Exit codes: 0 done; 1 a bug of ours (with traceback); 2 a study, option or device that cannot be used; 3 an error of a
results folder; 4 an error of the cluster; 5 an analysis that the data do not support; 6 done, but trials (or doctor's
checks) failed, or a fit cannot be believed; 7 the budget of run --until ended before its goal was reached; 130
interrupted.
"""

import argparse
import errno
import io
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from vcm_sweep.cluster.commands.ask import add_ask_command
from vcm_sweep.cluster.commands.device import add_device_commands
from vcm_sweep.cluster.commands.jobs import add_job_commands
from vcm_sweep.cluster.commands.life import add_life_commands
from vcm_sweep.cluster.commands.limits import add_limits_command
from vcm_sweep.cluster.commands.results import add_result_commands
from vcm_sweep.cluster.commands.serve import add_serve_command
from vcm_sweep.cluster.commands.store import add_store_commands
from vcm_sweep.cluster.commands.study import add_study_commands
from vcm_sweep.cluster.commands.tolerance import add_tolerance_commands
from vcm_sweep.cluster.commands.writing import add_writing_commands
from vcm_sweep.cluster.exit_codes import EXIT_CODES, EXIT_FAILED_TRIALS, EXIT_FOLDER, EXIT_INTERRUPTED, EXIT_USAGE
from vcm_sweep.cluster.terminal.printing import aligned
from vcm_sweep.cluster.terminal.waiting import bar
from vcm_sweep.sweep.nearest_names import did_you_mean


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # In a locale without them, signs such as ± are printed as ?, in place of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    parser = build_parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    arguments = parser.parse_args(argv)
    from vcm_sweep.device.errors import VcmSweepError

    try:
        code = int(arguments.command(arguments))
        sys.stdout.flush()
        return code
    except VcmSweepError as error:
        print(f"vcm-sweep: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "\nvcm-sweep: interrupted; what was finished is kept, run the same command again to go on", file=sys.stderr
        )
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _print_no_more()
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
            raise
        _print_no_more()
        with suppress(OSError):
            named = f" {error.filename}" if error.filename else " what was to be printed, or a file for it,"
            print(f"vcm-sweep:{named} cannot be written ({error.strerror}): make room there", file=sys.stderr)
        return EXIT_FOLDER


def _print_no_more() -> None:
    """What Python still holds for standard output goes nowhere, so that it is no error when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong with an option in one line, like all other errors, and what may be meant."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            used = found.parser if "parser" in found else self
            wrong = next((word for word in unknown if word.startswith("-")), unknown[0])
            used.error(f"unrecognized arguments: {' '.join(unknown)}{_hint(wrong, used._option_string_actions)}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(word) for word in action.choices]
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r} (choose from {', '.join(words)}){_hint(str(value), words)}"
            )

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"vcm-sweep: {message}: see {self.prog} --help\n")


def _hint(word: str, known: Iterable[str]) -> str:
    hint = did_you_mean(word, known)
    return f"; {hint}" if hint else ""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="vcm-sweep",
        description="Which nonideality of a memristive (VCM) cell costs a neural network the most accuracy?",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"vcm-sweep {version('vcm-sweep')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        sub.set_defaults(command=function, parser=sub)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    add_study_commands(command)
    add_writing_commands(command)
    add_life_commands(command)
    add_limits_command(command)
    add_result_commands(command)
    add_ask_command(command)
    add_tolerance_commands(command)
    add_job_commands(command)
    add_serve_command(command)
    add_store_commands(command)
    text = "cells: library, sensitivities, fits to measurements, pictures"
    add_device_commands(commands.add_parser("device", help=text, description=text, epilog=EXIT_CODES), EXIT_CODES)
    command("doctor", _doctor, "check that this installation works")
    text = "print the script by which a shell completes commands, options and their words"
    completion = commands.add_parser("completion", help=text, description=text, epilog=EXIT_CODES)
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(command=_completion, parser=completion)
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.commands.doctor import examine

    with bar("doctor", quiet=arguments.json):
        checks = examine()
    if arguments.json:
        print(json.dumps([vars(check) for check in checks]))
    else:
        print(aligned([(check.verdict, check.name, check.detail) for check in checks], heads=0))
    return 0 if all(check.passed for check in checks) else EXIT_FAILED_TRIALS


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    parser = build_parser()
    _complete_files(parser)
    print(shtab.complete(parser, arguments.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Mark for shtab what may name a file or a folder: all that is neither a number nor one of some words."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _complete_files(sub)
        elif action.nargs != 0 and not action.choices and action.type in (None, Path):
            action.complete = shtab.FILE  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
