"""Results folders that earlier versions left behind: data/store-v<version of the columns>, each stopped half-way.

They were made by that version's own code, those of version 1 with records that no training gave, and never change. A
version to come adds its own. Of the first there is one more by an older model of the device: its records are readable,
and further ones have other keys.
"""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from vcm_sweep.sweep import SobolDesign, Store, Trial, TrialRecord, open_results
from vcm_sweep.sweep.store.schema import SCHEMA_VERSION, schema
from vcm_sweep.sweep.trial import MODEL_VERSION

_KEPT = sorted((Path(__file__).parent / "data").glob("store-v*"))
_NEW_IN = {
    2: ("asymmetry_mean", "levels", "peak_temperature_k", "frac_outside_validity"),
    3: ("node", "attempts"),
    4: ("asymmetry_total",),
}


@pytest.fixture(params=_KEPT, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an old folder."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def version(folder: Path) -> int:
    return int(folder.name.removeprefix("store-v").partition("-")[0])


def test_there_is_a_folder_of_every_version_and_it_is_what_it_says() -> None:
    assert {version(folder) for folder in _KEPT} == set(range(1, SCHEMA_VERSION + 1))
    for folder in _KEPT:
        for part in folder.glob("parts/*.parquet"):
            assert int(pq.read_schema(part).metadata[b"vcm_sweep_schema"]) == version(folder)


def test_an_old_folder_opens_with_todays_columns_and_nulls_for_what_it_lacks(old: Path) -> None:
    store = Store.open(old)
    assert store.problems() == []
    table = store.table()
    assert table.schema.equals(schema(store.study))
    assert store.counts() == {"ok": 12}
    for since, names in _NEW_IN.items():
        for name in names:
            assert (table[name].null_count == 12) == (since > version(old)), name
    same_model = store.study.frozen["model_version"] == MODEL_VERSION
    assert (set(table["key"].to_pylist()) <= {trial.key for trial in SobolDesign(store.study).trials()}) == same_model
    assert open_results(old).counts() == {"ok": 12, "missing": 4}


def test_an_old_folder_is_gone_on_with_and_its_files_stay_as_they_are(old: Path) -> None:
    before = {part.name: part.read_bytes() for part in old.glob("parts/*.parquet")}
    store = Store.open(old)
    with store:
        done = set(store.table(["point"])["point"].to_pylist())
        left = [trial for trial in SobolDesign(store.study).trials() if trial.point not in done]
        store.append([record(trial) for trial in left])
    assert len(left) == 4
    assert open_results(old).counts() == {"ok": 16}
    for name, content in before.items():
        assert (old / "parts" / name).read_bytes() == content
    # From now on it is noticed if an old part, whose name has no number, goes missing.
    (old / "parts" / min(before)).unlink()
    assert [line for line in Store.open(old).problems() if f"{min(before)} is missing (" in line]


def test_an_old_folder_compacts_into_todays_columns(old: Path) -> None:
    with Store.open(old) as store:
        before = store.table().sort_by("key").to_pylist()
        store.compact()
    (part,) = old.glob("parts/*.parquet")
    today, found = schema(Store.open(old).study), pq.read_schema(part)
    assert found.equals(today)
    assert found.metadata == today.metadata
    assert str(Store.open(old).table().sort_by("key").to_pylist()) == str(before)
    assert len(pd.read_parquet(old / "parts")) == 12


def record(trial: Trial) -> TrialRecord:
    return TrialRecord(trial.key, trial.point, trial.replicate, trial.factors, trial.seed, "ok", accuracy=0.5)
