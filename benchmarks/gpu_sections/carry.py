"""Makes what a machine with a GPU lacks: aihwkit's wheel, MNIST packed, and what section 5 compares with."""

import gzip
import importlib.metadata
import subprocess
import sys
from pathlib import Path

from gpu_sections import reference
from gpu_sections.places import ROOT
from gpu_sections.reference import CannotMake
from vcm_sweep.sweep.data.sets import CACHE, DATA_VARIABLE

__all__ = ["CannotMake", "make"]

# What such a machine need not have; the rest of what the sections import is on every machine with torch.
WHEELS = ("aihwkit", "lazy-loader")
FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
COMMAND = 'python3 benchmarks/gpu.py --carried {} --out "$OUT" --limit-s 345'
MOST_MIB = 64


def make(folder: Path) -> None:
    """Fill the folder with what is not there yet, and print its size and the command for the other machine."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in WHEELS:
        _wheel(name, folder)
    _data(folder)
    reference.make(folder / "reference.parquet")
    carried = sum(path.stat().st_size for path in folder.iterdir())
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout
    tree = sum((ROOT / name).stat().st_size for name in listed.split("\0") if name and (ROOT / name).is_file())
    print(
        f"{folder}: {carried / 2**20:.1f} MiB, the repository {tree / 2**20:.1f} MiB, of {MOST_MIB} together; "
        f"on the machine with a GPU, in a copy of both:\n    {COMMAND.format(folder)}"
    )


def _wheel(name: str, folder: Path) -> None:
    """The wheel of the version that is installed here."""
    version = importlib.metadata.version(name)
    if any(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl")):
        return
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", folder, f"{name}=={version}"], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise CannotMake(f"no wheel of {name} {version} ({last}): put it into {folder} by hand and repeat")


def _data(folder: Path) -> None:
    import os

    root = Path(os.environ.get(DATA_VARIABLE) or CACHE) / "MNIST" / "raw"
    for name in FILES:
        packed = folder / f"{name}.gz"
        if packed.exists():
            continue
        if not (root / name).exists():
            raise CannotMake(f"{root / name} is not there: set {DATA_VARIABLE} to the folder that has MNIST/raw")
        packed.write_bytes(gzip.compress((root / name).read_bytes(), 9, mtime=0))
