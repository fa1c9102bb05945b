"""What section 5 compares with: the same trainings on CPU cores, one row per trial in a Parquet file."""

import hashlib
import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from gpu_sections.stacks import DEVICES, FULL, Sizes, Training, inputs
from gpu_sections.trial_figures import Rows, trial_figures
from vcm_sweep.sweep.trial import MODEL_VERSION

# Trials that are stacked on a CPU; their bits do not depend on it.
STACK = 8
_IDENTITY = b"what was trained"


class CannotMake(Exception):
    """Why there is no reference, in one line."""


def identity(size: Sizes) -> str:
    """A digest of all that determines the figures besides the code: model, network, devices, trials and steps."""
    said = {"version": MODEL_VERSION, "inputs": [inputs(size, device) for device in DEVICES], "size": size}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def make(path: Path, size: Sizes = FULL, processes: int = 0) -> None:
    """Train on all cores and write the file; one that is there and of the same trainings stays.

    ``processes``: 0 takes one per core, 1 this one.
    """
    if path.exists() and pq.read_schema(path).metadata.get(_IDENTITY) == identity(size).encode():
        print(f"{path}: is there, of the same trainings")
        return
    began = time.monotonic()
    jobs = [(size, device, first) for device in DEVICES for first in range(0, size.compared, STACK)]
    rows: dict[str, list[Rows]] = {device: [] for device in DEVICES}
    if processes == 1:
        done = map(_train, jobs)
    else:
        # Started anew, since a fork of a process with threads may hang.
        pool = ProcessPoolExecutor(processes or os.cpu_count(), multiprocessing.get_context("spawn"))
        done = pool.map(_train, jobs)
    for place, ((_, device, _), figures) in enumerate(zip(jobs, done, strict=True), 1):
        rows[device].append(figures)
        if size is FULL:
            print(f"reference: {place} of {len(jobs)} stacks, {time.monotonic() - began:.0f} s", flush=True)
    _write(path, size, rows)


def _train(job: tuple[Sizes, str, int]) -> Rows:
    size, device, first = job
    torch.set_num_threads(1)
    return trial_figures(Training(size, device, min(STACK, size.compared - first), "cpu", 1 + first), size)


def _write(path: Path, size: Sizes, rows: dict[str, list[Rows]]) -> None:
    tables = []
    for device, parts in rows.items():
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        tables.append(pa.table({"device": [device] * size.compared, "trial": np.arange(size.compared), **columns}))
    table = pa.concat_tables(tables).replace_schema_metadata({_IDENTITY: identity(size).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.part")
    pq.write_table(table, beside, compression="zstd")
    beside.replace(path)
    print(f"{path}: {table.num_rows} rows, {path.stat().st_size / 1024:.0f} kB")


def read(path: Path, size: Sizes) -> dict[str, Rows]:
    """The figures by device.

    Raises:
        ValueError: the file is of other trainings.
    """
    table = pq.read_table(path)
    if table.schema.metadata.get(_IDENTITY) != identity(size).encode():
        raise ValueError(f"{path} is of other trainings than these: make it again with --carry")
    names = [name for name in table.column_names if name not in ("device", "trial")]
    device = np.array(table["device"].to_pylist())
    return {own: {name: table[name].to_numpy()[device == own] for name in names} for own in DEVICES}
