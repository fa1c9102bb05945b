"""The store loses nothing that is finished, and reads nothing foreign or torn without saying so."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow.parquet as pq
import pytest

from vcm_sweep.sweep import SobolDesign, Store, StoreError, Study, TrialRecord, open_results, plan
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store import committer

Records: TypeAlias = Callable[..., list[TrialRecord]]


@pytest.fixture
def study(tiny: Callable[..., Study]) -> Study:
    return tiny()


def test_records_come_back_and_pandas_reads_them(study: Study, tmp_path: Path, records: Records) -> None:
    some = records(study)
    with Store.create(study, tmp_path / "r") as store:
        store.append(some[:3])
        store.append(some[3:])
        assert store.table().num_rows == len(some)
    frame = pd.concat(pd.read_parquet(part) for part in (tmp_path / "r" / "parts").glob("*.parquet"))
    assert set(frame["key"]) == {r.key for r in some}
    assert frame["x_r.d2d.sigma"].between(0, 0.08).all()
    assert list(frame["history"].iloc[0]) == [0.4, 0.5]


def test_a_double_key_is_one_row_and_ok_wins(study: Study, tmp_path: Path, records: Records) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study, "error"))
        store.append(records(study, "ok"))
        store.append(records(study, "timeout"))
        table = store.table()
    assert table.num_rows == len(records(study))
    assert set(table["status"].to_pylist()) == {"ok"}


def test_another_study_is_refused_with_the_difference(study: Study, tmp_path: Path, records: Records) -> None:
    Store.create(study, tmp_path / "r")
    other = Study.from_text(study.text.replace("lr = 0.02", "lr = 0.03"))
    with pytest.raises(StoreError, match=r"network\.lr is 0\.02 there and 0\.03 here"):
        Store.create(other, tmp_path / "r")


def test_second_driver_is_refused(study: Study, tmp_path: Path, records: Records) -> None:
    with (
        Store.create(study, tmp_path / "r"),
        pytest.raises(StoreError, match="in use by another run"),
        Store.open(tmp_path / "r"),
    ):
        pass


@pytest.fixture(params=["disk", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A folder of each kind."""
    return Folder(tmp_path / "r") if request.param == "disk" else Folder(f"{request.getfixturevalue('s3')}/runs/r")


def three_parts(study: Study, where: Folder, some: list[TrialRecord]) -> list[str]:
    with Store.create(study, where) as store:
        for start in (0, 4, 8):
            store.append(some[start : start + 4])
            store.flush()
    return where.names("parts")


def test_what_is_torn_foreign_or_missing_is_named_and_never_read(
    study: Study, where: Folder, records: Records, tiny: Callable[..., Study], tmp_path: Path
) -> None:
    some = records(study)
    first, second, third = three_parts(study, where, some)
    assert Store.open(where).problems() == []
    other = tiny(lr="0.03")
    with Store.create(other, tmp_path / "other") as foreign:
        foreign.append(records(other))
    (theirs,) = (tmp_path / "other" / "parts").glob("*.parquet")
    whole = {name: where.read(f"parts/{name}") for name in (first, second, third)}

    def refused(pattern: str, left: int) -> None:
        store = Store.open(where)
        with pytest.raises(StoreError, match=pattern + ".*vcm-sweep compact .* --skip-bad"):
            store.table(["accuracy"])
        assert any(re.search(pattern, line) for line in store.problems())
        assert store.table(["accuracy"], skip_bad=True).num_rows == left

    where.write(f"parts/{second}", whole[second][: len(whole[second]) // 2])
    refused(f"parts/{second} has .* bytes and should have {len(whole[second])}", 8)
    # One bit of a column's page: the size is right, the digest is not.
    flipped = bytearray(whole[second])
    column = pq.ParquetFile(BytesIO(whole[second])).metadata.row_group(0).column(0)
    flipped[column.data_page_offset + column.total_compressed_size - 1] ^= 4
    where.write(f"parts/{second}", bytes(flipped))
    assert any(f"{second} is not what was written" in line for line in Store.open(where).problems())
    where.write(f"parts/{second}", whole[second])
    where.write("parts/00000004-0123abcd.parquet", theirs.read_bytes())
    refused(r"parts/00000004-0123abcd\.parquet belongs to another study", 12)
    where.delete("parts/00000004-0123abcd.parquet")
    for name, pattern in ((second, f"{second} is missing"), (third, rf"{third} is missing \(4 records\)")):
        where.delete(f"parts/{name}")
        refused(pattern, 8)
        where.write(f"parts/{name}", whole[name])
    assert Store.open(where).table().num_rows == 12


@pytest.mark.slow
def test_a_gap_is_noticed_though_the_driver_was_killed_before_its_manifest(
    study: Study, where: Folder, records: Records
) -> None:
    _, second, _ = three_parts(study, where, records(study))
    where.delete("manifest.json")
    assert Store.open(where).table().num_rows == 12
    where.delete(f"parts/{second}")
    with pytest.raises(StoreError, match=r"parts/00000002-\*\.parquet is missing"):
        Store.open(where).table()
    # A run after it does not paper over the gap.
    with Store.open(where) as store:
        store.append(records(study)[12:])
    assert [line for line in Store.open(where).problems() if "00000002" in line]
    with Store.open(where) as store:
        store.compact(skip_bad=True)
    assert Store.open(where).problems() == []
    assert Store.open(where).keys() == {r.key for r in records(study)} - {r.key for r in records(study)[4:8]}


def test_bad_files_are_set_aside_not_deleted(study: Study, where: Folder, records: Records) -> None:
    _, second, _ = three_parts(study, where, records(study))
    where.write(f"parts/{second}", b"PAR1 torn")
    with Store.open(where) as store, pytest.raises(StoreError, match="should have"):
        store.compact()
    with Store.open(where) as store:
        report = store.compact(skip_bad=True)
    assert report.set_aside == (second,)
    assert where.read(f"aside/{second}") == b"PAR1 torn"
    assert Store.open(where).table().num_rows == 8


def test_a_record_is_durable_within_a_second_and_on_durable_hears_of_it(
    study: Study, where: Folder, records: Records
) -> None:
    some = records(study)
    heard: set[str] = set()
    with Store.create(study, where) as store:
        store.on_durable = lambda durable: heard.update(record.key for record in durable)
        for record in some:
            store.append([record])
            time.sleep(0.05)
        # Nobody flushes: it is gathered for so long, then written (how soon that is: benchmarks/store.py).
        assert committer._GATHER_S <= 0.5
        until = time.monotonic() + 60
        while len(heard) < len(some):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert Store.open(where).keys() == heard == {record.key for record in some}
    assert len(where.names("parts")) < len(some)


def test_flush_returns_when_all_is_durable_and_brings_what_on_durable_raised(
    study: Study, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.sweep.store.committer._GATHER_S", 3600.0)
    with Store.create(study, tmp_path / "r") as store:
        for record in records(study):
            store.append([record])
        store.flush()
        assert Store.open(tmp_path / "r").keys() == {r.key for r in records(study)}

        def fail(_: object) -> None:
            raise RuntimeError("of the listener")

        store.on_durable = fail
        store.append(records(study, "error")[:1])
        with pytest.raises(RuntimeError, match="of the listener"):
            store.flush()
        store.flush()


def test_compaction_keeps_one_row_per_key_sorted_and_lets_runs_go_on(
    study: Study, where: Folder, records: Records
) -> None:
    some = records(study)
    with Store.create(study, where) as store:
        store.append(records(study, "error"))
        store.flush()
        store.append(some[8:])
        store.flush()
        store.append(some[:8][::-1])
        before = str(store.table().sort_by("key").to_pylist())
        report = store.compact()
        assert (report.rows, report.parts_before, report.parts_after) == (16, 3, 1)
        assert str(store.table().sort_by("key").to_pylist()) == before
        after = store.table(["replicate", "point"]).to_pylist()
        assert after == sorted(after, key=lambda row: (row["replicate"], row["point"]))
        assert len(where.names("parts")) == 1
        store.append(records(study, "timeout"))
    assert Store.open(where).counts() == {"ok": 16}
    assert Store.open(where).problems() == []
    with Store.open(where) as store:
        assert store.compact().rows == 16


def test_columns_are_those_asked_for_in_that_order(study: Study, tmp_path: Path, records: Records) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study, node="n1", attempts=2))
    for compacted in (False, True):
        store = Store.open(tmp_path / "r")
        assert store.table(["attempts", "node"]).slice(0, 1).to_pylist() == [{"attempts": 2, "node": "n1"}]
        assert store.table(["x_r.d2d.sigma"]).num_rows == 16
        with pytest.raises(StoreError, match=r"'speed' is no column of the records; there are key, "):
            store.table(["speed"])
        if not compacted:
            with store:
                store.compact()


def test_records_of_equal_work_are_taken_over_as_this_studys_trials(
    study: Study, where: Folder, records: Records, tmp_path: Path
) -> None:
    # The same two factors in the other order: equal keys where only one of them acts alike.
    longer_text = study.text.replace("n = 4", "n = 8")
    longer = Study.from_text(longer_text)
    with Store.create(study, tmp_path / "short") as store:
        store.append(records(study)[:10] + records(study, "error")[10:])
    with Store.create(longer, where) as store:
        assert store.take_over(tmp_path / "short", statuses=("ok", "diverged")) == 10
        assert store.take_over(tmp_path / "short", statuses=("ok", "diverged")) == 0
        assert store.take_over(Store.open(tmp_path / "short"), {records(study)[12].key}) == 1
        assert store.counts() == {"ok": 10, "error": 1}
        # An ok record counts more than the failed one that is there.
        with Store.create(study, tmp_path / "again") as again:
            again.append(records(study))
        assert store.take_over(tmp_path / "again") == 6
    table = Store.open(where).table()
    expected = {r.key: r for r in records(longer)}
    for row in table.to_pylist():
        record = expected[row["key"]]
        assert (row["point"], row["replicate"]) == (record.point, record.replicate)
        assert row["x_r.d2d.sigma"] == record.factors["r.d2d.sigma"]


def test_equal_work_at_another_point_of_a_study_with_other_factors_finds_its_place(
    study: Study, records: Records, tmp_path: Path
) -> None:
    names = {"r.d2d.sigma": "read.noise.sigma", "read.noise.sigma": "r.d2d.sigma"}
    swapped = Study.from_text(re.sub("|".join(names), lambda found: names[found[0]], study.text))
    mine = list(SobolDesign(study).trials())[3]
    with Store.create(swapped, tmp_path / "other") as other:
        # What the other study would have noted for the same work, at its own point and without our column's name.
        other.append([replace(records(swapped)[9], key=mine.key)])
    with Store.create(study, tmp_path / "r") as store:
        assert store.take_over(tmp_path / "other") == 1
        (row,) = store.table().to_pylist()
    assert (row["point"], row["x_r.d2d.sigma"]) == (3, mine.factors["r.d2d.sigma"])


def test_a_longer_version_of_the_study_keeps_what_the_folder_holds(
    study: Study, where: Folder, records: Records, tiny: Callable[..., Study]
) -> None:
    longer = tiny(8)
    with Store.create(study, where) as store:
        store.append(records(study))
        store.become(longer)
        store.append(records(longer)[16:])
        with pytest.raises(StoreError, match=r"network\.lr is 0\.02 there and 0\.03 here.*only \[design\]"):
            store.become(tiny(8, lr="0.03"))
    again = Store.open(where)
    assert again.study.digest == longer.digest
    assert again.counts() == {"ok": 32}
    with pytest.raises(StoreError, match=r"design\.n is 8 there and 4 here"):
        Store.create(study, where)
    with again:
        again.become(tiny(16))
    assert Store.open(where).counts() == {"ok": 32}


def test_cut_short_while_it_becomes_longer_the_folder_stays_good(
    study: Study, tmp_path: Path, records: Records, tiny: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Folder.write

    def cut_short(folder: Folder, name: str, content: bytes) -> None:
        if name == "study.toml":
            raise KeyboardInterrupt
        write(folder, name, content)

    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
        store.flush()
        monkeypatch.setattr(Folder, "write", cut_short)
        with pytest.raises(KeyboardInterrupt):
            store.become(tiny(8))
        monkeypatch.undo()
    assert Store.open(tmp_path / "r").study.digest == study.digest
    assert Store.open(tmp_path / "r").counts() == {"ok": 16}


def test_a_file_half_written_before_a_crash_is_not_read(study: Study, tmp_path: Path, records: Records) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study)[:2])
    (tmp_path / "r" / "parts" / ".x.parquet.tmp").write_bytes(b"PAR1 half")
    with Store.open(tmp_path / "r") as again:
        assert again.table().num_rows == 2
    assert not list((tmp_path / "r" / "parts").glob(".*.tmp"))


def test_a_folder_of_something_else_is_refused(study: Study, tmp_path: Path, records: Records) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(StoreError, match="not empty"):
        Store.create(study, tmp_path)
    with pytest.raises(StoreError, match=r"no study\.toml"):
        Store.open(tmp_path)


def test_a_file_is_no_results_folder(study: Study, tmp_path: Path, records: Records) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(StoreError, match=r"file is a file, and results are a folder: choose another --out"):
        Store.create(study, tmp_path / "file")
    with pytest.raises(StoreError, match=r"below cannot be written \(Not a directory\): choose another --out"):
        Store.create(study, tmp_path / "file" / "below")


@contextmanager
def without_rights(folder: Path, mode: int) -> Iterator[None]:
    """Nobody may do more with the folder than the mode says, not even root, who is somebody else meanwhile."""
    user, above = os.geteuid(), [parent for parent in folder.parents if parent.stat().st_mode & 0o555 != 0o555]
    modes = {path: path.stat().st_mode for path in (folder, *above)}
    for path in above:
        path.chmod(modes[path] | 0o555)
    folder.chmod(mode)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        for path, before in modes.items():
            path.chmod(before)


def test_a_folder_without_rights_is_one_line(study: Study, tmp_path: Path, records: Records) -> None:
    folder, fresh = tmp_path / "done", tmp_path / "fresh"
    fresh.mkdir()
    with Store.create(study, folder) as store:
        store.append(records(study))
    with without_rights(folder, 0o000):
        for use in (lambda: Store.create(study, folder), lambda: open_results(folder), lambda: plan(study, folder)):
            with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\): give yourself the rights"):
                use()
    with without_rights(fresh, 0o000), pytest.raises(StoreError, match=r"fresh cannot be .* \(Permission denied\)"):
        Store.create(study, fresh)
    with without_rights(fresh, 0o555), pytest.raises(StoreError, match=r"fresh cannot be written \(Permission denied"):
        Store.create(study, fresh)
    (folder / "lock").unlink()
    with without_rights(folder, 0o555):
        assert open_results(folder).counts() == {"ok": len(records(study))}
        with pytest.raises(StoreError, match=r"done cannot be written \(Permission denied"), Store.open(folder):
            pass


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("frozen.json", "{}"),
        ("frozen.json", '{"model_version": "3"}'),
        ("lineage.json", "[[1]]"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"parts": [[5, 1, 1]], "first": 1, "replaced": [], "unique": []}'),
        ("manifest.json", '{"parts": [], "first": 1e400, "replaced": [], "unique": []}'),
        ("manifest.json", '{"parts": [], "first": 1, "replaced": ["../study.toml"], "unique": []}'),
    ],
)
def test_a_small_file_that_makes_no_sense_is_one_line_and_deletes_nothing(
    name: str, content: str, study: Study, tmp_path: Path
) -> None:
    with Store.create(study, tmp_path / "out"):
        pass
    (tmp_path / "out" / name).write_text(content)
    words = rf"out/{name} cannot be read \(.*\): restore it, or"
    with pytest.raises(StoreError, match=words), Store.open(tmp_path / "out") as store:
        store.counts()
    assert (tmp_path / "out" / "study.toml").read_text() == study.text


def test_an_edited_study_file_in_the_folder_is_named(study: Study, tmp_path: Path, records: Records) -> None:
    with Store.create(study, tmp_path / "out") as store:
        store.append(records(study))
    (tmp_path / "out" / "study.toml").write_text(study.text.replace("lr = 0.02", "lr = 0.03"))
    with pytest.raises(StoreError, match=r"none of the records .* is of .*out/study\.toml: .* put it back as it was"):
        Store.open(tmp_path / "out").counts()
