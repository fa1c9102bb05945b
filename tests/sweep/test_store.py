"""Nothing finished is lost, nothing foreign or torn is read in silence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from vcm_sweep.sweep import SobolDesign, Store, StoreError, Study, TrialRecord, open_results, plan

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""


@pytest.fixture
def study() -> Study:
    return Study.from_text(TEXT)


def records(study: Study, status: str = "ok") -> list[TrialRecord]:
    return [
        TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, status, accuracy=0.5, history=[0.4, 0.5])
        for t in SobolDesign(study).trials()
    ]


def test_records_come_back_and_pandas_reads_them(study: Study, tmp_path: Path) -> None:
    some = records(study)
    with Store.create(study, tmp_path / "r") as store:
        store.append(some[:3])
        store.append(some[3:])
        assert store.table().num_rows == len(some)
    frame = pd.concat(pd.read_parquet(part) for part in (tmp_path / "r" / "parts").glob("*.parquet"))
    assert set(frame["key"]) == {r.key for r in some}
    assert frame["x_r.d2d.sigma"].between(0, 0.08).all()
    assert list(frame["history"].iloc[0]) == [0.4, 0.5]


def test_a_double_key_is_one_row_and_ok_wins(study: Study, tmp_path: Path) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study, "error"))
        store.append(records(study, "ok"))
        store.append(records(study, "timeout"))
        table = store.table()
    assert table.num_rows == len(records(study))
    assert set(table["status"].to_pylist()) == {"ok"}


def test_another_study_is_refused_with_the_difference(study: Study, tmp_path: Path) -> None:
    Store.create(study, tmp_path / "r")
    other = Study.from_text(TEXT.replace("lr = 0.02", "lr = 0.03"))
    with pytest.raises(StoreError, match=r"network\.lr is 0\.02 there and 0\.03 here"):
        Store.create(other, tmp_path / "r")


def test_second_driver_is_refused(study: Study, tmp_path: Path) -> None:
    with (
        Store.create(study, tmp_path / "r"),
        pytest.raises(StoreError, match="in use by another run"),
        Store.open(tmp_path / "r"),
    ):
        pass


def test_torn_and_foreign_parts_are_reported(study: Study, tmp_path: Path) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study))
    part = next((tmp_path / "r" / "parts").glob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="cannot be read"):
        store.table()
    part.unlink()
    other = Study.from_text(TEXT.replace("lr = 0.02", "lr = 0.03"))
    with Store.create(other, tmp_path / "other") as foreign:
        foreign.append(records(other))
    theirs = next((tmp_path / "other" / "parts").glob("*.parquet"))
    (tmp_path / "r" / "parts" / theirs.name).write_bytes(theirs.read_bytes())
    with pytest.raises(StoreError, match="belongs to another study"):
        store.table()


def test_a_file_half_written_before_a_crash_is_not_read(study: Study, tmp_path: Path) -> None:
    with Store.create(study, tmp_path / "r") as store:
        store.append(records(study)[:2])
    (tmp_path / "r" / "parts" / ".x.parquet.tmp").write_bytes(b"PAR1 half")
    with Store.open(tmp_path / "r") as again:
        assert again.table().num_rows == 2
    assert not list((tmp_path / "r" / "parts").glob(".*.tmp"))


def test_a_folder_of_something_else_is_refused(study: Study, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(StoreError, match="not empty"):
        Store.create(study, tmp_path)
    with pytest.raises(StoreError, match=r"no study\.toml"):
        Store.open(tmp_path)


def test_a_file_is_no_results_folder(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("dear")
    with pytest.raises(StoreError, match=r"file is a file, and results are a folder: choose another --out"):
        Store.create(study, tmp_path / "file")
    with pytest.raises(StoreError, match=r"below cannot be written .*: .* choose another --out"):
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


def test_a_folder_without_rights_is_one_line(study: Study, tmp_path: Path) -> None:
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
