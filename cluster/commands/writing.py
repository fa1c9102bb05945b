"""`vcm-sweep new` and `schema`: what helps to write a study file."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vcm_sweep.cluster.commands.shared import AddCommand

DATA: Mapping[str, str] = {
    "digits": "hidden = [32]\nepochs = 4",
    "mnist": "hidden = [256, 128]\nepochs = 1\ntrain_samples = 10000",
    "fashion_mnist": "hidden = [256, 128]\nepochs = 1\ntrain_samples = 10000",
    "kmnist": "hidden = [256, 128]\nepochs = 1\ntrain_samples = 10000",
}
"""Data sets, and the fields of [network] that go with each."""

TEMPLATES: Mapping[str, tuple[str, str]] = {
    "rank": (
        "which factor matters most, and is that sure?",
        'method = "space"      # points that fill the box of the ranges evenly\n'
        "n = 256               # the least for a verdict; 512 know a share to 3 or 4 points\n"
        "replicates = 2        # two trainings of every point measure luck",
    ),
    "screen": (
        "which of many factors matter at all?",
        'method = "morris"     # trajectories that move one factor at a time\nn = 16                # trajectories',
    ),
    "limits": (
        "what does each factor alone cost at the end of its range?",
        'method = "limits"     # in pairs with the nominal device\nn = 16                # pairs',
    ),
}
"""Questions by the name of their template, each with its [design]."""

_TEXT = """\
# {question}
# Written by vcm-sweep new. What it costs: vcm-sweep plan {file}. Then: vcm-sweep run {file}.
# All fields: vcm-sweep schema, or docs/studies.md. All that can vary: vcm-sweep plan --factors.

[study]
name = "{name}"
seed = 1              # all chance of the study follows from it

[network]
data = "{data}"       # or your own, "module:function"
{network}
batch = 32
lr = {lr}

[device]
# cell = "cell.toml"  # your own cell, as vcm-sweep device fit writes it
dw_min = {dw_min}         # weight step that the pulse rule assumes; plan says the real one

[[factor]]
name = "mismatch.global.mean"   # change of ln(RESET/SET) in every cell
range = [-0.5, 0.5]

[[factor]]
name = "r.d2d.sigma"            # spread of the filament radius from cell to cell, relative
range = [0.0, 0.08]

[[factor]]
name = "read.noise.sigma"       # read noise, in parts of the cell's current
range = [0.0, 0.05]

[design]
{design}
"""


def add_writing_commands(command: AddCommand) -> None:
    """Add the subcommands that help to write a study file."""
    sub = command("new", _new, "write a commented study file after three questions")
    sub.add_argument("file", type=Path, nargs="?", help="default: NAME.toml")
    sub.add_argument("--name", help="of the study; asked for without it")
    sub.add_argument("--data", choices=list(DATA), help="what the network learns; asked for without it")
    sub.add_argument("--template", choices=list(TEMPLATES), help="what is to be known; asked for without it")
    command("schema", _schema, "print the JSON Schema of study files, for editors that complete and check them")


def study_text(name: str, data: str, template: str, file: str) -> str:
    """A commented study file that plans without a change.

    >>> print(study_text("mine", "digits", "rank", "mine.toml").splitlines()[0])
    # which factor matters most, and is that sure?
    """
    question, design = TEMPLATES[template]
    lr, dw_min = ("0.02", "4e-4") if data == "digits" else ("0.005", "1e-4")
    return _TEXT.format(
        question=question, file=file, name=name, data=data, network=DATA[data], lr=lr, dw_min=dw_min, design=design
    )


def _new(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.errors import StudyError
    from vcm_sweep.sweep.study.study import STUDY_FIELDS, Study
    from vcm_sweep.sweep.study.tables.fields import Fields

    def check(name: str) -> None:
        Fields({"name": name}, "study").exactly(STUDY_FIELDS)
        if (file := arguments.file or Path(f"{name}.toml")).exists():
            raise StudyError(f"{file} is there already: name another file, or move it out of the way")

    file = arguments.file
    if given := arguments.name or (file and file.stem):
        check(given)  # before any question
    name = given or _asked("Name of the study", (), "mine", check)
    data = arguments.data or _asked("What does the network learn", tuple(DATA), "digits")
    questions = tuple(f"{key}: {question}" for key, (question, _) in TEMPLATES.items())
    template = arguments.template or _asked("What do you want to know", questions, "rank")
    file = file or Path(f"{name}.toml")
    text = study_text(name, data, template, shlex.quote(str(file)))
    Study.from_text(text, origin=str(file))
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise StudyError(f"{file} is there already: name another file, or move it out of the way") from None
    except OSError as error:
        raise StudyError(f"{file} cannot be written ({error.strerror}): name another file") from None
    values = {"file": str(file), "name": name, "data": data, "template": template}
    print(json.dumps(values) if arguments.json else f"{file} is written; next: vcm-sweep plan {shlex.quote(str(file))}")
    return 0


def _asked(question: str, words: Sequence[str], usual: str, check: Callable[[str], None] | None = None) -> str:
    """The answer of a person at a terminal, ``usual`` if they just press enter; ``usual`` where there is no person.

    They are asked again, with the reason, until ``check`` raises no StudyError.
    """
    from vcm_sweep.sweep.errors import StudyError

    if not sys.stdin.isatty():
        return usual
    keys = [word.partition(":")[0] for word in words]
    while True:
        print("\n".join([f"{question}? [{usual}]", *(f"  {word}" for word in words)]), file=sys.stderr)
        try:
            answer = input("> ").strip() or usual
        except EOFError:  # Ctrl-D, the other way out of a question
            raise KeyboardInterrupt from None
        try:
            if check:
                check(answer)
        except StudyError as error:
            print(error, file=sys.stderr)
            continue
        if not keys or answer in keys:
            return answer
        print(f"One of {', '.join(keys)}.", file=sys.stderr)


def _schema(arguments: argparse.Namespace) -> int:
    from vcm_sweep.sweep.study.json_schema import study_schema

    print(json.dumps(study_schema(), indent=None if arguments.json else 2))
    return 0
