"""Measure the store: records appended per second, their age when they are durable, the time of reading, memory.

Run: python benchmarks/store.py. A million records go through Store.append like the packs of an executor. They are read
from 2,000 parts, compacted, and read again.
"""

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from vcm_sweep.sweep import SobolDesign, Store, Study, TrialRecord
from vcm_sweep.sweep.store.schema import encode

_STUDY = """
[study]
name = "figures"
[network]
hidden = [8]
data = "digits"
epochs = 5
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "l.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "mismatch.d2d.sigma"
range = [0.0, 0.5]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 2
"""
_FIVE = ["point", "replicate", "status", "accuracy", "energy_j"]
_PACK = 16
_VERSIONS = '{"vcm-sweep": "0.1.0", "torch": "2.13.0", "numpy": "2.5.5"}'


def packs(study: Study, count: int) -> Iterator[list[TrialRecord]]:
    """Yields packs of 16 records as a training makes them."""
    trial = next(iter(SobolDesign(study).trials()))
    one = TrialRecord.failed(trial, "ok", "")
    for start in range(0, count, _PACK):
        yield [
            replace(
                one, key=f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}{i:016x}", point=i // 2, replicate=i % 2,
                seed=i * 7919, factors={name: value + i * 1e-9 for name, value in trial.factors.items()},
                accuracy=0.9 - i % 97 / 1000, loss=0.3 + i % 89 / 1000, history=[0.5, 0.6, 0.7, 0.9 - i % 97 / 1000],
                pulses_set=10**6 + i, pulses_reset=10**6 - i, energy_j=1e-3 + i * 1e-12, reads=10**5, wall_s=1.0,
                cpu_s=0.9, versions=_VERSIONS, node="worker-3",
            )
            for i in range(start, min(start + _PACK, count))
        ]  # fmt: skip


def resident_mb() -> float:
    """The memory of this process now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def append(study: Study, folder: Path, count: int) -> None:
    """Append all records, and print their rate, their age when durable, and the memory."""
    arrived: dict[str, float] = {}
    ages: list[float] = []

    def durable(records: Sequence[TrialRecord]) -> None:
        now = time.perf_counter()
        # Only the first record of each pack is in ``arrived``, and stands for the pack.
        ages.extend(now - arrived.pop(record.key) for record in records if record.key in arrived)

    making = cpu_of(lambda: sum(len(pack) for pack in packs(study, count)))
    memory = []
    start, cpu = time.perf_counter(), time.process_time()
    with Store.create(study, folder) as store:
        store.on_durable = durable
        for index, pack in enumerate(packs(study, count)):
            arrived[pack[0].key] = time.perf_counter()
            store.append(pack)
            if index % max(count // _PACK // 40, 1) == 0:
                memory.append(resident_mb())
        store.flush()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    parts = len(list((folder / "parts").iterdir()))
    print(f"append {count:,} records, {_PACK} at a time: {wall:.1f} s, {count / wall:,.0f} /s, {parts} parts")
    print(
        f"  cpu {cpu:.1f} s, of which {making:.1f} s make the records: the store alone {count / (cpu - making):,.0f} /s"
    )
    print(f"  age when durable: median {statistics.median(ages):.2f} s, oldest {max(ages):.2f} s")
    tenth = len(memory) // 10
    print(
        f"  memory: {statistics.mean(memory[tenth : 2 * tenth]):.0f} MB in the second tenth, "
        f"{statistics.mean(memory[-tenth:]):.0f} MB in the last, at most {max(memory):.0f} MB"
    )


def cpu_of(work: Callable[[], object]) -> float:
    """The CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def cut(folder: Path, parts: int) -> None:
    """Split the records into ``parts`` files, as a long study leaves them."""
    with Store.open(folder) as store:
        table = store.table()
    shutil.rmtree(folder / "parts")
    (folder / "manifest.json").unlink()
    (folder / "parts").mkdir()
    size = -(-table.num_rows // parts)
    for index in range(parts):
        content = encode(table.slice(index * size, size))
        (folder / "parts" / f"{index + 1:08d}-{0:08x}.parquet").write_bytes(content)


def scan(folder: Path, what: str) -> None:
    """Print the time of reading five columns, one row per key, and of a bare read of the same columns by pyarrow."""
    parts = sorted((folder / "parts").glob("*.parquet"))
    walls, cpus = [], []
    for _ in range(3):
        start, cpu = time.perf_counter(), time.process_time()
        rows = Store.open(folder).table(_FIVE).num_rows
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    start = time.perf_counter()
    for part in parts:
        pq.read_table(part, columns=_FIVE)
    bare = time.perf_counter() - start
    print(
        f"scan of five columns, {rows:,} rows, {what}: {min(walls):.2f} s (cpu {min(cpus):.2f} s; "
        f"pq.read_table part by part {bare:.2f} s)"
    )


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=2_000)
    parser.add_argument("--in", dest="where", type=Path, help="folder on the disk to measure; default a temporary one")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    study = Study.from_text(_STUDY)
    with tempfile.TemporaryDirectory(dir=arguments.where) as temporary:
        folder = Path(temporary) / "r"
        append(study, folder, arguments.records)
        scan(folder, "as appended")
        cut(folder, arguments.parts)
        scan(folder, f"{arguments.parts:,} parts")
        with Store.open(folder) as store:
            start = time.perf_counter()
            report = store.compact()
            print(f"compact: {time.perf_counter() - start:.1f} s, {report.bytes_before / 1e6:.0f} MB to "
                  f"{report.bytes_after / 1e6:.0f} MB in {report.parts_after} parts")  # fmt: skip
        scan(folder, "compacted")


if __name__ == "__main__":
    main()
