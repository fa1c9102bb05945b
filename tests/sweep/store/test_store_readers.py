"""Other readers see whole records while a driver writes; what docs/results.md shows works."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest

from vcm_sweep.sweep import Store, StoreError, Study, TrialRecord

_DOCUMENT = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
_SNIPPETS = re.findall(r"^```python( s3)?\n(.*?)^```", _DOCUMENT, re.MULTILINE | re.DOTALL)
_COLUMNS = ["key", "status", "accuracy", "history"]

_WRITER = """
import sys, time
from vcm_sweep.sweep import SobolDesign, Store, TrialRecord
from vcm_sweep.sweep.store import committer
committer._GATHER_S = 0.02
with Store.open(sys.argv[1]) as store:
    for t in SobolDesign(store.study).trials():
        store.append([TrialRecord(t.key, t.point, 0, t.factors, t.seed, "ok", accuracy=0.5, history=[0.4, 0.5])])
        time.sleep(0.02)
"""


def with_pandas(parts: Path) -> list[dict[str, object]]:
    return pd.read_parquet(parts, columns=_COLUMNS).to_dict("records")


def with_polars(parts: Path) -> list[dict[str, object]]:
    return pl.scan_parquet(parts / "*.parquet").select(_COLUMNS).collect().to_dicts()


def with_duckdb(parts: Path) -> list[dict[str, object]]:
    return duckdb.sql(f"SELECT {', '.join(_COLUMNS)} FROM '{parts}/*.parquet'").df().to_dict("records")


def with_dataset(parts: Path) -> list[dict[str, object]]:
    return list(ds.dataset(parts, format="parquet").to_table(columns=_COLUMNS).to_pylist())


def with_our_own(parts: Path) -> list[dict[str, object]]:
    return list(Store.open(parts.parent).table(_COLUMNS).to_pylist())


@pytest.mark.slow
def test_every_reader_sees_only_whole_records_and_ever_more_while_a_driver_writes(
    tiny: Callable[..., Study], tmp_path: Path
) -> None:
    parts = tmp_path / "r" / "parts"
    Store.create(tiny(32), tmp_path / "r")
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path / "r")])
    try:
        while not list(parts.glob("*.parquet")):
            assert writer.poll() is None
            time.sleep(0.05)
        readers = (with_pandas, with_polars, with_duckdb, with_dataset, with_our_own)
        seen = dict.fromkeys((read.__name__ for read in readers), 0)
        rounds = 0
        while writer.poll() is None:
            for read in readers:
                rows = read(parts)
                assert len({row["key"] for row in rows}) == len(rows) >= seen[read.__name__]
                assert all(row["status"] == "ok" and list(row["history"]) == [0.4, 0.5] for row in rows)  # type: ignore[call-overload]
                seen[read.__name__] = len(rows)
            rounds += 1
        assert writer.returncode == 0
        assert rounds > 1
        assert all(len(read(parts)) == 128 for read in readers)
    finally:
        writer.kill()
        writer.wait()


def test_a_reader_never_sees_fewer_records_while_parts_are_compacted(
    tiny: Callable[..., Study], records: Callable[..., list[TrialRecord]], tmp_path: Path
) -> None:
    study = tiny()
    some = records(study)
    reader, stop, seen = Store.create(study, tmp_path / "r"), threading.Event(), [0]
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            try:
                rows = reader.table(["accuracy"]).num_rows
            except StoreError as error:
                wrong.append(error)
                return
            if rows < seen[-1]:
                wrong.append((rows, seen[-1]))
            seen.append(rows)

    thread = threading.Thread(target=read)
    with Store.create(study, tmp_path / "r") as store:
        thread.start()
        for record in some:
            store.append([record])
            store.flush()
            store.append([record])
            store.flush()
            store.compact()
        stop.set()
        thread.join()
    assert wrong == []
    assert len(seen) > 10
    assert reader.table().num_rows == 16


@pytest.fixture
def mixed(
    tiny: Callable[..., Study], records: Callable[..., list[TrialRecord]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A folder that an older version began, with a training that failed and was run again."""
    import shutil

    # The model's version is part of every key; the columns alone are older here.
    monkeypatch.setattr("vcm_sweep.sweep.trial.MODEL_VERSION", 3)
    folder = Path(shutil.copytree(Path(__file__).parent / "data" / "store-v2", tmp_path / "r"))
    with Store.open(folder) as store:
        some = records(store.study)
        store.append([record for record in some if record.point >= 12])
        store.flush()
        store.append([TrialRecord.failed(t, "timeout", "") for t in _trials(store.study)[:4]])
    return folder


def _trials(study: Study) -> list:  # type: ignore[type-arg]
    from vcm_sweep.sweep import SobolDesign

    return list(SobolDesign(study).trials())


@pytest.mark.parametrize("number", [n for n, (kind, _) in enumerate(_SNIPPETS) if not kind])
def test_a_snippet_of_the_document_gives_one_ok_row_per_training(mixed: Path, number: int) -> None:
    names: dict[str, object] = {"folder": mixed}
    exec(_SNIPPETS[number][1], names)
    shown = names.get("frame", names.get("table"))
    rows = len(shown)  # type: ignore[arg-type]
    everything = 20
    # Those that do not choose among equal keys show all rows.
    chooses = any(word in _SNIPPETS[number][1] for word in ("Store", "unique", "duplicates", "QUALIFY"))
    filtered = "filter=" in _SNIPPETS[number][1]
    assert rows == 16 if chooses else rows <= everything if filtered else rows == everything


@pytest.mark.parametrize("number", [n for n, (kind, _) in enumerate(_SNIPPETS) if kind])
def test_a_snippet_for_object_stores_reads_from_s3(
    tiny: Callable[..., Study], records: Callable[..., list[TrialRecord]], s3: str, number: int
) -> None:
    study = tiny()
    with Store.create(study, f"{s3}/runs/r") as store:
        store.append(records(study))
    names: dict[str, object] = {"uri": f"{s3}/runs/r"}
    exec(_SNIPPETS[number][1], names)
    assert names["table"].num_rows == 16  # type: ignore[attr-defined]
