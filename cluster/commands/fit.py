"""`vcm-sweep device fit`: parameters of a cell from a measured file."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.exit_codes import EXIT_FAILED_TRIALS
from vcm_sweep.cluster.terminal.printing import aligned, prose, show
from vcm_sweep.cluster.terminal.waiting import bar

MODELS = ("explicit", "full")
_DATA = (
    "text file of an I-V sweep (voltage, current, and time or --ramp) or of pulses (voltage, width, current), "
    "rows in the order of time; separator, decimal mark, header, names and units are recognised (docs/measured.md)"
)


def add_fit_options(sub: argparse.ArgumentParser, cell: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the options of `device fit`; ``cell`` adds --cell."""
    sub.add_argument("data", type=Path, help=_DATA)
    sub.add_argument("--fit", type=words, required=True, metavar="NAMES", help="parameters to fit, as r,dW_A")
    cell(sub)
    sub.add_argument("--model", choices=MODELS, default="full", help="of the current (default full)")
    sub.add_argument("--ramp", type=float, metavar="V/S", help="speed of a sweep without times")
    sub.add_argument(
        "--columns", type=_columns, default={}, metavar="OURS=NAME:UNIT,...",
        help="which column is which, as voltage_v=Vds:mV,current_a=3:uA (3: the third; -NAME turns the sign)",
    )  # fmt: skip
    sub.add_argument(
        "--polarity", choices=("set-negative", "set-positive"), default="set-negative",
        help="of SET in the file (default set-negative, as here; set-positive turns all signs)",
    )  # fmt: skip
    sub.add_argument("--magnitude", action="store_true", help="currents are magnitudes: give them their voltage's sign")
    sub.add_argument("--compliance", type=float, metavar="A", help="of the instrument; default as it shows, 0: none")
    sub.add_argument("--read-voltage", type=float, metavar="V", help="at which pulses were read (default 0.2)")
    sub.add_argument("--n-start", type=float, metavar="N", help="state before the first row, 1e26/m3; default fitted")
    sub.add_argument("--floor", type=float, metavar="A", help="current below which residuals are not logarithmic")
    sub.add_argument("--out", type=Path, help="folder for cell and pictures; default fits/<name of the data>")


def words(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _columns(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in words(text)]
    if not pairs or not all(ours.strip() and name.strip() for ours, _, name in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} must be OURS=NAME or OURS=NAME:UNIT, separated by commas")
    return {ours.strip(): name.strip() for ours, _, name in pairs}


def fit_cell(arguments: argparse.Namespace) -> int:
    """Fit, print, and write cell and pictures; the exit code says whether the fit can be believed."""
    from vcm_sweep.device.fitting.least_squares import fit
    from vcm_sweep.device.library.library import library_cell
    from vcm_sweep.device.measured.reading import read_measurement
    from vcm_sweep.device.pictures.pictures import draw_fit, save_picture

    start = library_cell(arguments.cell)
    with bar("read", quiet=arguments.json) as step:
        data = read_measurement(
            arguments.data, arguments.ramp, columns=arguments.columns, polarity=arguments.polarity,
            magnitude=arguments.magnitude, compliance_a=arguments.compliance, read_voltage_v=arguments.read_voltage,
            progress=step,
        )  # fmt: skip
    with bar("fit", quiet=arguments.json) as step:
        result = fit(
            data, arguments.fit, start.parameters, arguments.model, arguments.n_start, arguments.floor, step
        )  # fmt: skip
    folder = arguments.out or Path("fits") / arguments.data.stem
    png, svg = save_picture(draw_fit(result), folder, "fit")
    # A cell that cannot be believed gets another name, and takes the place of an older one.
    good, doubtful = folder / "cell.toml", folder / "doubtful.toml"
    path, other = (good, doubtful) if result.believable else (doubtful, good)
    _save(path, result.cell(_cell_name(arguments.data.stem)).to_toml(), other)
    notes = list(data.notes)
    if start.defaults:
        notes.append(f"not in {arguments.cell}, so the default cell's: {', '.join(start.defaults)}")
    if arguments.json:
        print(json.dumps(_report(arguments, result, notes, path, (png, svg))))
    else:
        for line in notes:
            print(prose(f"note: {line}"))
        _print(result)
        show({"cell": path, "pictures": f"{png}, {svg}"}, as_json=False)
        if result.doubts:
            print(prose(*(f"NOT BELIEVABLE: {line}" for line in result.doubts)))
    return 0 if result.believable else EXIT_FAILED_TRIALS


def _report(
    arguments: argparse.Namespace, result: Any, notes: list[str], path: Path, pictures: tuple[Path, ...]
) -> dict[str, Any]:
    return {
        "data": str(arguments.data),
        "kind": result.measurement.kind,
        "model": result.model,
        "residual_rms": result.residual_rms,
        "noise": result.noise,
        "condition": result.condition,
        "values": result.values,
        "errors": result.errors,
        "correlation": result.correlation.tolist(),
        "cycles": {key: own.tolist() for key, own in result.cycles.items()},
        "notes": notes,
        "warnings": list(result.warnings),
        "believable": result.believable,
        "doubts": list(result.doubts),
        "cell": str(path),
        "pictures": [str(picture) for picture in pictures],
    }


def _print(result: Any) -> None:
    from vcm_sweep.device.physics.parameters import CellParameters

    rows = [("parameter", "fitted", "standard error", "unit")]
    for key, value in result.values.items():
        unit = CellParameters.unit(key) if key in CellParameters.names() else "1e26/m3"
        rows.append((key, f"{value:.5g}", f"{result.errors[key]:.2g}", unit))
    print(aligned(rows, right=(1, 2)))
    print(prose(
        f"residual rms {result.residual_rms:.2g} over {int(result.measurement.read.sum())} rows (about the relative "
        f"error of the current), noise of the data {result.noise:.2g}, condition {result.condition:.2g}"
    ))  # fmt: skip
    for key, own in result.cycles.items():
        spread = f"{own.mean():.5g} +- {own.std(ddof=1):.2g}, from {own.min():.5g} to {own.max():.5g}"
        print(prose(f"{len(own)} cycles by themselves: {key} = {spread}"))
    for line in result.warnings:
        print(prose(f"warning: {line}"))


def _cell_name(stem: str) -> str:
    """A valid cell name, made from the name of a data file."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in stem) or "fitted"


def _save(path: Path, text: str, other: Path) -> None:
    """Write a text to one path, in place of what stood there or at the other."""
    from vcm_sweep.device.errors import DeviceError

    try:
        path.write_text(text, encoding="utf-8")
        other.unlink(missing_ok=True)
    except OSError as error:
        raise DeviceError(f"{path}: cannot be written ({type(error).__name__}): name another --out") from None
