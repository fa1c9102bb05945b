"""``vcm-sweep device``: the library of cells, sensitivities and pictures; fits are in fit.py."""

import argparse
import json
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.commands.fit import MODELS, add_fit_options, fit_cell, words
from vcm_sweep.cluster.terminal.printing import aligned, prose
from vcm_sweep.cluster.terminal.waiting import bar
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V

KINDS = ("iv", "pulses", "switching", "maps", "mismatch")
# Default states (1e26/m3) and voltages, which docs/physics.md and arXiv 2403.06746 use.
_OF_FIT = ("data", "rows", "rms", "noise", "believable", "doubts")
STATES, SET_V, RESET_V = "0.1,0.5,1.5", -0.342, 0.7065


def add_device_commands(parser: argparse.ArgumentParser, epilog: str) -> None:
    """Add the subcommands of ``device`` to its parser."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, epilog=epilog)
        sub.set_defaults(command=function, parser=sub)
        sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    def cell(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--cell", default="default", help="a name of `device list`, or the path of a cell file (TOML)")

    command("list", _list, "list the cells of the library")
    sub = command("show", _show, "show a cell: its parameters with units, allowed ranges and meaning")
    sub.add_argument("cell", help="a name of `device list`, or the path of a cell file (TOML)")
    sub = command("sensitivity", _sensitivity, "show by how many per cent rates and read current follow each parameter")
    cell(sub)
    sub.add_argument("--model", choices=MODELS, default="full", help="of the current (default full)")
    sub.add_argument("--n", type=_numbers, default=_numbers(STATES), help=f"states, 1e26/m3 (default {STATES})")
    add_fit_options(command("fit", fit_cell, "fit parameters to a measured I-V sweep or pulse response"), cell)
    sub = command("plot", _plot, "draw a cell: PNG and SVG, explicit and full model side by side")
    cell(sub)
    sub.add_argument("--kind", choices=("all", *KINDS), default="all", help="which picture (default all)")
    sub.add_argument("--out", type=Path, default=Path("pictures"), help="folder (default pictures)")


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(word) for word in words(text)]
    except ValueError:
        numbers = []
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} must be numbers, separated by commas")
    return numbers


def _list(arguments: argparse.Namespace) -> int:
    from vcm_sweep.device.library.library import cell_names, library_cell

    cells = [library_cell(name) for name in cell_names()]
    if arguments.json:
        print(json.dumps([{"name": c.name, "source": c.source, "validity": dict(c.validity)} for c in cells]))
    else:
        print(aligned([("cell", "source"), *((c.name, c.source) for c in cells)]))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from vcm_sweep.device.library.library import VALIDITY, library_cell
    from vcm_sweep.device.physics.parameters import CellParameters as Cell

    cell = library_cell(arguments.cell)
    values = {name: float(getattr(cell.parameters, name)) for name in Cell.names()}
    if arguments.json:
        rows = [
            {"name": n, "value": v, "unit": Cell.unit(n), "allowed": Cell.allowed(n), "meaning": Cell.meaning(n)}
            for n, v in values.items()
        ]
        head = {"name": cell.name, "source": cell.source, "validity": dict(cell.validity), "fit": dict(cell.fit)}
        head["defaults"] = list(cell.defaults)
        print(json.dumps({**head, "parameters": rows}))
        return 0
    print(prose(f"{cell.name}: {cell.source}"))
    for key, (low, high) in cell.validity.items():
        print(f"valid for {key} {low:g} .. {high:g} {VALIDITY[key]}")
    if cell.fit:
        print(prose("fit: " + ", ".join(f"{key} {value}" for key, value in cell.fit.items() if key in _OF_FIT)))
    if cell.defaults:
        print(prose(f"not in the file, so the default cell's: {', '.join(cell.defaults)}"))
    table = [(n, f"{v:.7g}", Cell.unit(n), Cell.allowed(n), Cell.meaning(n)) for n, v in values.items()]
    print("", aligned([("parameter", "value", "unit", "allowed", "meaning"), *table], right=(1,)), sep="\n")
    return 0


def _sensitivity(arguments: argparse.Namespace) -> int:
    import torch

    from vcm_sweep.device.library.library import load_cell
    from vcm_sweep.device.physics.elasticity import elasticities, read_elasticities

    cell, model = load_cell(arguments.cell), arguments.model
    n = torch.tensor(arguments.n, dtype=torch.float64)
    found = {
        "set": elasticities(n, SET_V, cell, model),
        "reset": elasticities(n, RESET_V, cell, model),
        "read": read_elasticities(n, cell, model),
    }
    # Adding 0.0 turns -0.0 into 0.0.
    values = {key: {name: (x + 0.0).tolist() for name, x in column.items()} for key, column in found.items()}
    if arguments.json:
        settings = {"cell": arguments.cell, "model": model, "n": arguments.n}
        settings |= {"set_voltage_v": SET_V, "reset_voltage_v": RESET_V, "read_voltage_v": READ_VOLTAGE_V}
        print(json.dumps({**settings, **values}))
        return 0
    count = len(arguments.n)
    titles = ("SET", "RESET", "read")
    rows = [
        ["", *(cell for title in titles for cell in (title, *[""] * (count - 1)))],
        ["N (1e26/m3)", *[f"{x:g}" for x in arguments.n] * len(titles)],
    ]
    size = {name: max(abs(x) for key in values for x in values[key][name]) for name in values["set"]}
    for name in sorted(size, key=lambda name: -size[name]):
        rows.append([name, *(_short(x) for key in values for x in values[key][name])])
    kinds = f"{SET_V} V (SET) and {RESET_V} V (RESET), d ln I / d ln p at {READ_VOLTAGE_V} V (read)"
    print(prose(f"d ln|dN/dt| / d ln p at {kinds}"))
    print(f"cell {arguments.cell}, model {model}")
    print("", aligned(rows, right=range(1, len(rows[0])), heads=2), sep="\n")
    return 0


def _short(x: float) -> str:
    if abs(x) < 5e-3:
        return "0"
    return f"{x:.2f}" if abs(x) < 10 else f"{x:.1f}"


def _plot(arguments: argparse.Namespace) -> int:
    from vcm_sweep.device.library.library import load_cell
    from vcm_sweep.device.pictures.pictures import draw, save_picture

    cell = load_cell(arguments.cell)
    kinds = KINDS if arguments.kind == "all" else (arguments.kind,)
    files: dict[str, list[str]] = {}
    with bar("pictures", len(kinds), quiet=arguments.json) as step:
        for kind in kinds:
            files[kind] = [str(path) for path in save_picture(draw(kind, cell), arguments.out, kind)]
            step(kind)
    if arguments.json:
        print(json.dumps(files))
    else:
        print(aligned([(kind, *paths) for kind, paths in files.items()], heads=0, whole_lines=True))
    return 0
