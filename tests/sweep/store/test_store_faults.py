"""What goes wrong around a store, injected: nothing reported durable is lost, nothing is doubled."""

import errno
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow.parquet as pq
import pytest

from vcm_sweep.sweep import Executor, Store, StoreError, Study, Trial, TrialRecord, run
from vcm_sweep.sweep.folder import Folder

from ...studies import TINY

Records: TypeAlias = Callable[..., list[TrialRecord]]

# Forks a driver for each line that comes in: imports and design, seconds, are done once. A driver runs the study that
# is in the folder, writes down the keys that it is told are durable, and with "compact" compacts first.
_DRIVERS = """
import os, sys, time
from pathlib import Path
from vcm_sweep.sweep import SobolDesign, Store, TrialRecord

def drive(folder, told, compact):
    log = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Store.open(folder) as store:
        os.write(log, b"begun\\n")
        store.on_durable = lambda records: os.write(log, "".join(f"{r.key}\\n" for r in records).encode())
        if compact:
            store.compact()
        done = store.keys()
        for trial in trials:
            if trial.key not in done:
                time.sleep(0.005)
                store.append([TrialRecord(trial.key, trial.point, 0, trial.factors, trial.seed, "ok", accuracy=0.5)])
                if trial.point % 5 == 0:
                    store.flush()

trials = []
for line in sys.stdin:
    trials = trials or list(SobolDesign(Store.open(line.split()[0]).study).trials())
    child = os.fork()
    if child == 0:
        try:
            drive(*line.split()[:2], line.endswith("compact\\n"))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Drivers:
    """Drivers in processes of their own, one after the other."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _DRIVERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._ask, self._hear = self._parent.stdin, self._parent.stdout

    def start(self, folder: Path, told: Path, compact: bool = False) -> int:
        """Process number of a driver that holds the folder."""

        def begun() -> int:
            return told.read_text().split().count("begun") if told.exists() else 0

        before = begun()
        self._ask.write(f"{folder} {told}{' compact' if compact else ''}\n")
        self._ask.flush()
        driver = int(self._hear.readline())
        while begun() == before:
            time.sleep(0.01)
        return driver

    def end(self) -> int:
        return int(self._hear.readline())

    def close(self) -> None:
        self._ask.close()
        self._parent.wait(10)


@pytest.fixture
def drivers() -> Iterator[Drivers]:
    made = Drivers()
    yield made
    made.close()


def keys_in_files(folder: Path) -> Counter[str]:
    return Counter(key for part in folder.glob("parts/*.parquet") for key in pq.read_table(part)["key"].to_pylist())


@pytest.mark.slow
def test_a_driver_killed_20_times_at_random_moments_loses_and_doubles_nothing(
    tiny: Callable[..., Study], tmp_path: Path, drivers: Drivers
) -> None:
    study, folder, told = tiny(256), tmp_path / "r", tmp_path / "told"
    total = 256 * 4
    Store.create(study, folder)
    moments = random.Random(5)
    kills = 0
    while kills < 20:
        driver = drivers.start(folder, told, compact=kills % 3 == 2)
        time.sleep(moments.uniform(0.0, 0.4))
        os.kill(driver, signal.SIGKILL)
        if drivers.end() != signal.SIGKILL:
            break  # it was done first
        kills += 1
        durable = Counter(told.read_text().split())
        del durable["begun"]
        assert set(durable.values()) <= {1}
        store = Store.open(folder)
        table = store.table(["key", "status"])
        kept = Counter(table["key"].to_pylist())
        assert not durable.keys() - kept.keys(), "reported durable, and lost"
        assert set(kept.values()) <= {1}
    assert kills == 20
    assert durable.total() > 100
    drivers.start(folder, told)
    assert drivers.end() == 0
    assert store.problems() == []
    with store:
        assert store.counts() == {"ok": total}
        store.compact()
    assert sorted(keys_in_files(folder).values()) == [1] * total


class Cut(BaseException):
    """The moment at which the power goes."""


def test_compaction_cut_short_at_any_step_loses_and_doubles_nothing(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny()
    some = records(study)
    steps = 0
    for cut_at in range(1, 100):
        folder = tmp_path / f"r{cut_at}"
        store = Store.create(study, folder)
        with store:
            for start in range(0, 12, 4):
                store.append(some[start : start + 4])
                store.flush()
        count = 0

        def step(
            work: Callable[..., None], folder_: Folder, *given: Any, at: int = cut_at, watched: str = str(folder)
        ) -> None:
            nonlocal count
            count += str(folder_) == watched
            if count == at:
                raise Cut
            work(folder_, *given)

        with monkeypatch.context() as patch:
            for name in ("write", "delete"):
                work = getattr(Folder, name)
                patch.setattr(Folder, name, lambda *given, work=work, step=step: step(work, *given))
            try:
                with store:
                    store.compact()
                    done = True
            except Cut:
                done = False
        steps = max(steps, count)
        held = {record.key for record in some[:12]}
        table = store.table(["key"])
        assert table.num_rows == 12
        assert set(table["key"].to_pylist()) == held
        assert set(keys_in_files(folder)) == held
        with store:
            store.append(some[12:])
            store.flush()
            store.compact()
        assert store.problems() == []
        assert sorted(keys_in_files(folder).values()) == [1] * 16
        if done:
            break
    assert steps >= 5  # a new part, the manifest, three old parts, the manifest


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place]).returncode:
        pytest.skip("a small file system cannot be mounted: not root here")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(place: Path) -> Path:
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return ballast


def test_a_full_disk_makes_a_run_wait_and_go_on_when_there_is_room(
    tiny: Callable[..., Study], records: Records, small_disk: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.1)
    study = tiny()
    some = records(study)
    durable: list[str] = []
    with Store.create(study, small_disk / "r") as store:
        store.on_durable = lambda those: durable.extend(record.key for record in those)
        store.append(some[:8])
        store.flush()
        ballast = fill(small_disk)
        store.append(some[8:])
        until = time.monotonic() + 60
        while "kept in memory" not in caplog.text:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert durable == [record.key for record in some[:8]]
        assert Store.open(small_disk / "r").table().num_rows == 8
        ballast.unlink()
        store.flush()
        assert len(durable) == 16
    assert Store.open(small_disk / "r").problems() == []
    assert Store.open(small_disk / "r").counts() == {"ok": 16}
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(told) == 2
    assert "cannot be written (No space left on device): records are kept in memory" in told[0]


def test_a_disk_that_stays_full_leaves_the_records_elsewhere_and_says_how_to_take_them_over(
    tiny: Callable[..., Study], records: Records, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    study = tiny()
    some = records(study)
    with (  # noqa: PT012
        pytest.raises(
            StoreError, match=r"No space left.*; 8 records are in \S+ instead: .* --reuse .*; 4 records are in"
        ),
        Store.create(study, small_disk / "r") as store,
    ):
        store.patience_s = 0.5
        store.append(some[:4])
        store.flush()
        ballast = fill(small_disk)
        store.append(some[4:12])
        with pytest.raises(StoreError):
            store.flush()
        # What comes after it is not lost either.
        with pytest.raises(StoreError, match=r"8 records are in .*; 4 records are in"):
            store.append(some[12:])
    ballast.unlink()
    left = sorted((tmp_path / "elsewhere").glob("*.parquet"))
    with Store.open(small_disk / "r") as store:
        assert store.keys() == {record.key for record in some[:4]}
        assert sum(store.take_over(file) for file in left) == 12
    assert Store.open(small_disk / "r").counts() == {"ok": 16}


def test_a_store_that_cannot_write_makes_whoever_appends_wait(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.05)
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._BOUND", 8)
    broken = threading.Event()
    write = Folder.write

    def fail(folder: Folder, name: str, content: bytes) -> None:
        if broken.is_set():
            raise OSError(28, "No space left on device")
        write(folder, name, content)

    study = tiny(16)
    some = records(study)
    appended = 0

    def append(store: Store) -> None:
        nonlocal appended
        for start in range(0, len(some), 4):
            store.append(some[start : start + 4])
            appended = start + 4

    with Store.create(study, tmp_path / "r") as store:
        monkeypatch.setattr(Folder, "write", fail)
        broken.set()
        thread = threading.Thread(target=append, args=(store,))
        thread.start()
        time.sleep(1.0)
        # Those on their way and as many as fit; memory does not grow.
        assert appended <= 24
        broken.clear()
        thread.join(120)
        assert appended == 64
    assert Store.open(tmp_path / "r").counts() == {"ok": 64}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["500", "hang"])
def test_an_object_store_that_fails_for_a_while_loses_and_doubles_nothing(
    tiny: Callable[..., Study], records: Records, failing_s3: tuple[str, Any], mode: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.1)
    uri, server = failing_s3
    study = tiny()
    some = records(study)
    with Store.create(study, f"{uri}/r") as store:
        store.append(some[:8])
        store.flush()
        server.mode, server.heals_after = mode, 5 if mode == "500" else 1
        for record in some[8:]:
            store.append([record])
        store.flush()
        assert server.failures > 0
    assert Store.open(f"{uri}/r").counts() == {"ok": 16}
    assert Store.open(f"{uri}/r").problems() == []
    folder = Folder(f"{uri}/r/parts")
    rows = sum(folder.open(name, lambda file: pq.ParquetFile(file).metadata.num_rows) for name in folder.names())
    assert rows == 16


@pytest.mark.slow
def test_an_object_store_that_stays_away_leaves_the_records_on_the_disk(
    tiny: Callable[..., Study], records: Records, failing_s3: tuple[str, Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("vcm_sweep.sweep.folder._ATTEMPTS", 2)
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.1)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    uri, server = failing_s3
    study = tiny()
    with Store.create(study, f"{uri}/r") as store:
        store.patience_s = 0.5
        server.mode = "500"
        store.append(records(study))
        with pytest.raises(StoreError, match=r"/r/parts cannot be written \(.*\); 16 records are in"):
            store.flush()
        store._committer = None  # the with statement would raise once more
        server.mode = ""
    with Store.open(f"{uri}/r") as store:
        assert store.take_over(next(tmp_path.glob("*.parquet"))) == 16


def test_a_clock_that_jumps_back_a_year_changes_neither_order_nor_age(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny()
    jump = [0.0]
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + jump[0])
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(jump[0] * 1e9))
    heard: list[int] = []
    for index, seconds in enumerate((0.0, -3e7, 6e7, -9e7)):
        jump[0] = seconds
        with Store.create(study, tmp_path / "r") as store:
            store.on_durable = lambda those: heard.append(len(those))
            store.append(records(study, "error", reason=f"number {index}"))
            until = time.monotonic() + 60
            while sum(heard) < 16 * (index + 1):
                assert time.monotonic() < until
                time.sleep(0.05)
    # The last of equal keys counts, whatever time it was written at.
    assert set(Store.open(tmp_path / "r").table(["reason"])["reason"].to_pylist()) == {"number 3"}


@pytest.mark.slow
def test_two_runs_of_one_study_at_once_the_second_is_told_who_runs(
    tiny: Callable[..., Study], tmp_path: Path, drivers: Drivers
) -> None:
    study = tiny(64)
    Store.create(study, tmp_path / "r")
    first = drivers.start(tmp_path / "r", tmp_path / "told")
    expected = rf"in use by another run \(process {first} on .*vcm-sweep status"
    with pytest.raises(StoreError, match=expected), Store.open(tmp_path / "r"):
        pass
    # It may watch, and after the first was killed it may run.
    Store.open(tmp_path / "r").counts()
    os.kill(first, signal.SIGKILL)
    drivers.end()
    with Store.open(tmp_path / "r"):
        pass


@pytest.mark.slow
def test_in_an_object_store_the_second_run_is_refused_and_a_dead_ones_lease_ends(
    tiny: Callable[..., Study], records: Records, s3: str
) -> None:
    study = tiny()
    store, second = Store.create(study, f"{s3}/r"), Store.open(f"{s3}/r")
    store.lease_s = second.lease_s = 4.0
    with store:
        with pytest.raises(StoreError, match=r"in use by another run \(process \d+ on"), second:
            pass
        store.append(records(study))
    with second:
        assert second.counts() == {"ok": 16}
        # It dies: nobody raises the counter any more. Its clock may have said anything.
        second._lock._stop.set()  # type: ignore[union-attr]
        third = Store.open(f"{s3}/r")
        third.lease_s = 4.0
        start = time.monotonic()
        with third:
            assert time.monotonic() - start > 4.0
            third.append(records(study)[:1])
            # Should the dead one come back, it sees that it was replaced.
            second._lock._stop.clear()  # type: ignore[union-attr]
            second._lock._keep()  # type: ignore[union-attr]
            with pytest.raises(StoreError, match="in use by another run"):
                second.take_over(Store.open(f"{s3}/r"), keys=None) or second._write_records(records(study)[:1])


def test_interrupting_a_run_whose_disk_is_full_a_second_time_ends_it_at_once(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    study = tiny()
    write = Folder.write

    def fail(folder: Folder, name: str, content: Sequence[int]) -> None:
        if name.startswith("parts/"):
            raise OSError(28, "No space left on device")
        write(folder, name, content)  # type: ignore[arg-type]

    monkeypatch.setattr(Folder, "write", fail)
    store = Store.create(study, tmp_path / "r")

    def written() -> None:
        with store:
            store.append(records(study))
            # Only now: on a busy machine it would else come before the disk is waited for.
            threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(StoreError, match=r"16 records are in"):
        written()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_driven_by_a_lease(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
        assert (tmp_path / "r" / "lease.json").exists()
    assert "its file system has no locks" in caplog.text
    assert not (tmp_path / "r" / "lease.json").exists()
    assert Store.open(tmp_path / "r").counts() == {"ok": 16}


def test_one_flipped_bit_in_a_finished_part_is_found_wherever_it_is(
    tiny: Callable[..., Study], records: Records, tmp_path: Path
) -> None:
    """Parquet's own checksums cover pages alone: bits of the footer read as other values, or as null."""
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
    (part,) = (tmp_path / "r" / "parts").glob("*.parquet")
    content = part.read_bytes()
    rng = random.Random(1)
    for place in [*(rng.randrange(len(content)) for _ in range(60)), len(content) - 1, len(content) - 300]:
        bit = 1 << rng.randrange(8)
        part.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        (problem,) = Store.open(tmp_path / "r").problems()
        assert "is not what was written (its bytes have another digest)" in problem
        with pytest.raises(StoreError, match="another digest"):
            Store.open(tmp_path / "r").table(["accuracy"])
    part.write_bytes(content)
    assert Store.open(tmp_path / "r").problems() == []


def test_a_manifest_without_digests_is_read_as_before(
    tiny: Callable[..., Study], records: Records, tmp_path: Path
) -> None:
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
    manifest = tmp_path / "r" / "manifest.json"
    plain = json.loads(manifest.read_text())
    assert list(plain.pop("digests")) == [name for name, _, _ in plain["parts"]]
    manifest.write_text(json.dumps(plain))
    assert Store.open(tmp_path / "r").counts() == {"ok": 16}


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_while_the_disk_is_full_leaves_all_that_is_finished_elsewhere_at_once(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presses: int
) -> None:
    """What came in before, and what ends in the time of grace, in one file; no press but the first is needed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    study = tiny()
    given = {record.key: record for record in records(study)}
    write = Folder.write

    def fail(folder: Folder, name: str, content: Sequence[int]) -> None:
        if name.startswith("parts/"):
            raise OSError(28, "No space left on device")
        write(folder, name, content)  # type: ignore[arg-type]

    class Interrupted(Executor):
        def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
            self.packs = [[given[trial.key] for trial in pack] for pack in packs]
            yield from self.packs[:2]
            raise KeyboardInterrupt

        def finish(self, grace_s: float) -> Iterator[list[TrialRecord]]:
            yield from self.packs[2:]
            if presses == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "write", fail)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"No space left on device\); 16 records are in \S+ instead: run again with"):
        run(study, Interrupted(), tmp_path / "r", pack=4)
    assert time.monotonic() - began < 20, "nobody waited for the disk"
    (left,) = tmp_path.glob("vcm-sweep-*.parquet")
    assert sorted(pq.read_table(left)["key"].to_pylist()) == sorted(given)


def test_a_folder_that_is_deleted_while_it_is_written_ends_the_run_and_is_not_made_anew(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    study = tiny()
    with (  # noqa: PT012
        pytest.raises(StoreError, match=r"r was deleted while it was written \(no study.toml\).*; 8 records are in"),
        Store.create(study, tmp_path / "r") as store,
    ):
        store.append(records(study)[:8])
        store.flush()
        shutil.rmtree(tmp_path / "r")
        with pytest.raises(StoreError, match="was deleted"):
            store.flush()
        store.append(records(study)[8:])
    assert not (tmp_path / "r").exists()
    (left,) = tmp_path.glob("vcm-sweep-*.parquet")
    assert pq.read_metadata(left).num_rows == 8


def test_a_disk_that_goes_away_after_the_records_were_written_is_one_line(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mocked: a server of files that is gone cannot be had here."""
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study)[:8])
        store.flush()

        def gone(_folder: Folder, _name: str) -> bool:
            raise OSError(errno.ESTALE, "Stale file handle")

        with monkeypatch.context() as broken:
            broken.setattr(Folder, "exists", gone)
            with pytest.raises(
                StoreError, match=r"r cannot be looked at \(Stale file handle\): .* run the same command"
            ):
                store.flush()
    assert len(Store.open(tmp_path / "r").table(["key"])) == 8


@pytest.mark.parametrize("elsewhere", ["no folder for temporary files", "no home either", "a bug"])
def test_whoever_waits_hears_of_it_when_records_cannot_even_be_left_elsewhere(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    """gettempdir raises on a full disk, Path.home for a user without one: neither may end the store's thread."""

    def refuse(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    def full(*_: object) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    def fail(_folder: Folder, name: str, _content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.gettempdir", full)
    monkeypatch.setenv("HOME", str(tmp_path))
    if elsewhere == "no home either":
        monkeypatch.setattr("pathlib.Path.home", refuse)
    elif elsewhere == "a bug":
        monkeypatch.setattr("vcm_sweep.sweep.store.rescue.encode", refuse)
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._RETRY_S", 0.05)
    study = tiny()
    where = "16 records are in" if elsewhere.startswith("no folder") else "16 records are lost"
    store = Store.create(study, tmp_path / "r")
    store.patience_s = 0.1
    with pytest.raises(StoreError, match=where), store:  # noqa: PT012
        monkeypatch.setattr(Folder, "write", fail)
        store.append(records(study))


def test_a_reason_that_is_no_text_does_not_cost_the_records_beside_it(
    tiny: Callable[..., Study], records: Records, tmp_path: Path
) -> None:
    """As where an error names a file whose name is not UTF-8."""
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append([*records(study)[:15], *records(study, "error", reason="no file a\udcff.txt")[15:]])
    assert Store.open(tmp_path / "r").counts() == {"ok": 15, "error": 1}
    assert "no file a?.txt" in Store.open(tmp_path / "r").table()["reason"].to_pylist()


def test_a_lock_that_an_interrupt_left_held_does_not_hold_up_the_end(
    tiny: Callable[..., Study], records: Records, tmp_path: Path
) -> None:
    """Between taking a lock and the block that gives it back there is a moment that an interrupt may hit."""
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
        assert store._committer is not None
        store._committer._changed.acquire()
    assert Store.open(tmp_path / "r").counts() == {"ok": 16}


def test_compaction_deletes_only_what_it_has_read(tiny: Callable[..., Study], records: Records, tmp_path: Path) -> None:
    """On an object store a driver that was cut off may compact while another has taken the lease, and writes."""
    study = tiny()
    some = records(study)
    with Store.create(study, tmp_path / "other") as other:
        other.append(some[8:])
    late = next((tmp_path / "other" / "parts").iterdir())
    with Store.create(study, tmp_path / "r") as store:
        store.append(some[:8])
        store.flush()
        latest = store._reader.latest

        def reading(*arguments: Any) -> Any:
            read = latest(*arguments)
            (tmp_path / "r" / "parts" / "00000002-0123abcd.parquet").write_bytes(late.read_bytes())
            return read

        store._reader.latest = reading  # type: ignore[method-assign]
        assert store.compact().rows == 8
    assert Store.open(tmp_path / "r").counts() == {"ok": 16}
    assert Store.open(tmp_path / "r").problems() == []


def test_the_end_of_a_run_looks_into_no_part_that_it_wrote(
    tiny: Callable[..., Study], records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an object store, with thousands of parts, that would take a quarter of an hour."""
    opened: list[str] = []
    read = Folder.open

    def noting(folder: Folder, name: str, use: Callable[..., Any]) -> Any:
        opened.append(name)
        return read(folder, name, use)

    monkeypatch.setattr(Folder, "open", noting)
    study = tiny()
    with Store.create(study, tmp_path / "r") as store:
        for start in range(0, 16, 4):
            store.append(records(study)[start : start + 4])
            store.flush()
    assert opened == []
    assert Store.open(tmp_path / "r").problems() == []
    assert len(opened) == 4


def test_of_two_that_make_a_folder_at_once_the_second_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Study.from_text(TINY.replace('"tiny"', f'"tiny"\nseed = {seed}')) for seed in (1, 2))
    folder, check = tmp_path / "made", Study.check

    def meanwhile(study: Study) -> None:
        # The second has found the folder free, and the first makes it before the second has looked at its study.
        check(study)
        monkeypatch.setattr(Study, "check", check)
        with Store.create(first, folder):
            pass

    monkeypatch.setattr(Study, "check", meanwhile)
    with pytest.raises(StoreError, match=r"holds another study .*seed"):
        Store.create(second, folder)
    assert Store.open(folder).study.digest == first.digest


def test_a_folder_that_another_command_has_changed_is_not_written(tmp_path: Path) -> None:
    study = Study.from_text(TINY)
    waiting = Store.create(study, tmp_path)
    with Store.open(tmp_path) as other:
        other.become(Study.from_text(TINY.replace("n = 4", "n = 8")))
    with pytest.raises(StoreError, match=r"has got another study meanwhile .*: another command wrote it, or extended"):
        waiting.__enter__()
    with Store.open(tmp_path) as later:  # the lock was given back
        later.flush()
