"""Everything that a first call on a GPU is to bring home: one command, under six minutes, on a bare machine.

    python benchmarks/gpu.py --carry build/gpu                               # here: make what that machine lacks
    python3 benchmarks/gpu.py --carried build/gpu --out OUT --limit-s 345    # there, in a copy of the repository
    python benchmarks/gpu.py --rehearse --out OUT                            # the same code on a CPU, in half a minute

The machine needs Python 3.12, torch with CUDA, Triton, numba, pyarrow, safetensors, scipy, scikit-learn and pytest, and
no network; the package need not be installed. Each section is tried by itself, rewrites OUT/gpu.json when it ends, and
is left out if less time is left than it needs. The rehearsal takes digits, few trials, Triton's interpreter for the
kernels and a clock for the GPU's events.

Exit codes: 0 all checks passed, 1 a check or a section failed, 2 an option is wrong, 3 no GPU or something is missing.
"""

import argparse
import contextlib
import gzip
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import time
import tomllib
import traceback
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from gpu_sections.call import Call, Report

ROOT = Path(__file__).resolve().parents[1]
EXIT_FAILED, EXIT_MISSING = 1, 3
# What is unpacked and compiled on the machine.
WORK = ROOT / "build" / "gpu-work"
MOST_LINES = 10


class Section(NamedTuple):
    """A part of the benchmark: the module of gpu_sections/ that does it, the seconds that it needs, and what it is."""

    name: str
    seconds: float
    title: str


SECTIONS = (
    Section("machine", 10, "0 machine"),
    Section("correctness", 90, "1 correctness of the kernels"),
    Section("ceilings", 15, "2 ceilings"),
    Section("kernels", 40, "3 our kernels alone"),
    Section("steps", 40, "4 steps"),
    Section("against_cpu", 80, "5 against the CPU"),
    Section("epoch", 45, "6 a piece of an epoch"),
    Section("profile", 10, "7 profile"),
)
DEEP = (Section("deep", 240, "deep: counters and memory checks"),)


class Missing(Exception):
    """What this machine lacks, in one line."""


def install(carried: Path | None) -> None:
    """Make the package, the carried wheels and the data importable here and in every process started from here."""
    paths = []
    if importlib.util.find_spec("vcm_sweep") is None:
        paths += [link_package(WORK / "links"), describe_package(WORK / "links")]
    for wheel in sorted(carried.glob("*.whl")) if carried else ():
        if importlib.util.find_spec(wheel.name.partition("-")[0]) is None:
            paths.append(unpack(wheel, WORK / "site"))
    if carried and sorted(carried.glob("*-ubyte.gz")):
        os.environ.setdefault("VCM_SWEEP_DATA", str(unpack_data(carried, WORK / "data")))
    sys.path += [path for path in dict.fromkeys(paths) if path not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join([*dict.fromkeys(paths), *filter(None, [os.environ.get("PYTHONPATH")])])
    importlib.invalidate_caches()


def link_package(folder: Path) -> str:
    """The four folders under the package's name, as ``make check`` links them."""
    (folder / "vcm_sweep").mkdir(parents=True, exist_ok=True)
    for part in ("device", "sweep", "analysis", "cluster"):
        with contextlib.suppress(FileExistsError):
            (folder / "vcm_sweep" / part).symlink_to(os.path.relpath(ROOT / part, folder / "vcm_sweep"))
    return str(folder)


def describe_package(folder: Path) -> str:
    """The name and version that a record asks the installed package for."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    about = folder / f"vcm_sweep-{version}.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vcm-sweep\nVersion: {version}\n", encoding="utf-8")
    return str(folder)


def unpack(wheel: Path, folder: Path) -> str:
    """A wheel is a zip file of what goes onto the path."""
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
    return str(folder)


def unpack_data(carried: Path, root: Path) -> Path:
    """The four files of MNIST where torchvision looks for them."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for packed in carried.glob("*-ubyte.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return root


def prepare(arguments: argparse.Namespace) -> None:
    """Set up this process before torch, numba and Triton are imported.

    Raises:
        Missing: there is no GPU, or nothing was carried here.
    """
    carried = arguments.carried
    # Torch's profiler talks, and its errors look their places up for half a minute.
    os.environ |= {"KINETO_LOG_LEVEL": "9", "TORCH_DISABLE_ADDR2LINE": "1"}
    if arguments.rehearse:
        os.environ |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    else:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(WORK / "numba"))
        os.environ.setdefault("TRITON_CACHE_DIR", str(WORK / "triton"))
        check_gpu()
        if carried is None or not (carried / "reference.parquet").exists():
            raise Missing(f"--carried {carried}: reference.parquet is not there: make it with --carry")
    install(carried)
    # It sees to it that aihwkit loads without its compiled engine. What is missing here section 0 names.
    with contextlib.suppress(Exception):
        importlib.import_module("vcm_sweep.device")


def check_gpu() -> None:
    """Raise Missing where torch cannot use a GPU."""
    try:
        import torch
    except ImportError as error:
        raise Missing(f"torch cannot be imported ({error}): install torch with CUDA") from None
    if not torch.cuda.is_available():
        raise Missing(
            f"no GPU that torch {torch.__version__} can use: run this command on a machine with one; here "
            "--rehearse shows what it does"
        )


def run(sections: tuple[Section, ...], call: Call) -> bool:
    """Run the sections one after the other; whether all checks passed and no section failed.

    A section may take what no later one needs.
    """
    for place, section in enumerate(sections):
        if call.left() < section.seconds:
            report = Report(left_out=f"needs {section.seconds:.0f} s, and {max(call.left(), 0):.0f} s are left")
            seconds = 0.0
        else:
            began = time.monotonic()
            later = sum(other.seconds for other in sections[place + 1 :])
            call.section_ends = began + max(section.seconds, call.left() - later)
            report = one(section, call)
            seconds = time.monotonic() - began
        call.reports[section.name] = report
        show(section, report, seconds)
        write(call, {"seconds": round(seconds, 2)}, section.name)
    return all(report.passed for report in call.reports.values())


def one(section: Section, call: Call) -> Report:
    """The report of a section; one that fails says with what, and stops no other."""
    report = Report()
    try:
        importlib.import_module(f"gpu_sections.{section.name}").run(call, report)
    except Exception as error:
        report.error = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        report.figures["traceback"] = traceback.format_exc().splitlines()
    return report


def show(section: Section, report: Report, seconds: float) -> None:
    """Print a section: at most ten lines."""
    lines = list(report.lines)
    lines += [f"FAILED: {name}: {why}" for name, why in report.checks.items() if why]
    if report.error:
        lines.append(f"FAILED: {report.error}")
    if report.left_out:
        lines = [f"left out: {report.left_out}"]
    print(f"\n{section.title} ({seconds:.1f} s)", flush=True)
    for line in lines[: MOST_LINES - 1] if len(lines) > MOST_LINES else lines:
        print(f"  {line}", flush=True)
    if len(lines) > MOST_LINES:
        print(f"  ... and {len(lines) - MOST_LINES + 1} more in gpu.json", flush=True)


def write(call: Call, extra: dict[str, Any], name: str) -> None:
    """Write all reports so far, so that what is there survives whatever comes."""
    call.reports[name].figures |= extra
    content = {
        "began": call.began_at,
        "rehearsal": call.rehearse,
        "sections": {name: vars(report) for name, report in call.reports.items()},
    }
    beside = call.out / "gpu.json.part"
    beside.write_text(json.dumps(content, indent=1, default=float), encoding="utf-8")
    beside.replace(call.out / "gpu.json")


def conclude(sections: tuple[Section, ...], call: Call) -> None:
    """Print the tables that are read first, and last what failed and what was left out."""
    try:
        table = importlib.import_module("gpu_sections.table")
        print("\n".join(table.lines(call)), flush=True)
    except Exception as error:
        print(f"no table: {type(error).__name__}: {error}", flush=True)
    reports = call.reports.values()
    checks = [(name, why) for report in reports for name, why in report.checks.items()]
    failed = [name for name, why in checks if why]
    broken = [section.name for section in sections if call.reports[section.name].error]
    left_out = [section.name for section in sections if call.reports[section.name].left_out]
    print(
        f"\nchecks: {len(checks) - len(failed)} passed, {len(failed)} failed{': ' if failed else ''}"
        f"{', '.join(failed)}; sections that failed: {', '.join(broken) or 'none'}; "
        f"left out: {', '.join(left_out) or 'none'}; {time.monotonic() - call.began:.0f} s; {call.out / 'gpu.json'}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure and check the GPU path.", epilog=__doc__.split("\n\n")[-1])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--carry", type=Path, metavar="FOLDER", help="make what must be carried to a machine with a GPU")
    what.add_argument("--carried", type=Path, metavar="FOLDER", help="measure on the GPU here, with what was carried")
    what.add_argument("--reference", type=Path, metavar="FILE", help="train on CPU cores what section 5 compares with")
    parser.add_argument("--rehearse", action="store_true", help="the same code on a CPU, small")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-out", help="folder of gpu.json")
    parser.add_argument("--limit-s", type=float, default=345.0, help="a section that would end later is left out")
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=[section.name for section in SECTIONS])
    parser.add_argument("--deep", action="store_true", help="Nsight Compute and compute-sanitizer instead")
    arguments = parser.parse_args()
    if not (arguments.carry or arguments.carried or arguments.reference or arguments.rehearse):
        parser.error("give --carry, --carried, --reference or --rehearse")
    return arguments


def main() -> int:
    """Do what the options say; the exit code."""
    arguments = parse()
    if arguments.carry or arguments.reference:
        install(None)
        made = importlib.import_module("gpu_sections.carry" if arguments.carry else "gpu_sections.reference")
        try:
            made.make(arguments.carry or arguments.reference)
        except made.CannotMake as error:
            print(error)
            return EXIT_MISSING
        return 0
    call = Call(arguments.rehearse, arguments.out, arguments.carried, time.monotonic(), arguments.limit_s)
    try:
        prepare(arguments)
    except Missing as error:
        print(error)
        return EXIT_MISSING
    call.out.mkdir(parents=True, exist_ok=True)
    sections = DEEP if arguments.deep else SECTIONS
    sections = tuple(section for section in sections if not arguments.only or section.name in arguments.only)
    passed = run(sections, call)
    conclude(sections, call)
    return 0 if passed else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
