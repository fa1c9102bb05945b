"""Results folders open, list and analyse as they did, of an older model too; nothing of today's is trained anew."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from vcm_sweep.analysis import analyze
from vcm_sweep.sweep import InProcessExecutor, Study, Trial, TrialRecord, build_design, extend, open_results, run

from . import measured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the kept folder."""
    return Path(shutil.copytree(measured.HERE / "results", tmp_path / "results"))


@pytest.fixture(scope="module")
def kept() -> dict:
    return measured.read("results.json")


class Untrained(InProcessExecutor):
    """Notes what it is asked to train, and makes records up."""

    def __init__(self) -> None:
        self.asked: list[Trial] = []
        super().__init__(self.made_up)

    def made_up(self, trials: Sequence[Trial]) -> list[TrialRecord]:
        self.asked += trials
        return [
            TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=0.5, history=[0.5])
            for t in trials
        ]


MODELS = pytest.mark.parametrize("name", ["results", "results_model_3"])


@MODELS
def test_it_opens_with_the_same_records(name: str) -> None:
    results, kept = open_results(measured.HERE / name), measured.read(f"{name}.json")
    assert results.study.digest == kept["digest"]
    assert dict(results.counts()) == kept["counts"]
    records = results.table().sort_by([("point", "ascending"), ("replicate", "ascending")]).to_pylist()
    # A version to come may have further columns.
    for record, golden in zip(records, kept["records"], strict=True):
        assert {name: record[name] for name in golden} == golden


@MODELS
def test_its_analysis_gives_the_same_numbers(name: str) -> None:
    made, kept = measured.plain_indices(analyze(open_results(measured.HERE / name))), measured.read(f"{name}.json")
    assert made.keys() == kept["indices"].keys()
    for kind, golden in kept["indices"].items():
        for one, other in zip(made[kind], golden, strict=True):
            assert one[:2] == other[:2]
            # Sums of numpy, whose order is the CPU's.
            assert one[2:] == pytest.approx(other[2:], rel=1e-9, abs=1e-12)


def test_run_finds_everything_done(folder: Path, kept: dict) -> None:
    executor = Untrained()
    results = run(Study.from_toml(measured.HERE / "results.toml"), executor, folder)
    assert executor.asked == []
    assert dict(results.counts()) == kept["counts"]


def test_extend_keeps_all_and_run_trains_only_what_is_new(folder: Path) -> None:
    before = set(open_results(folder).table()["key"].to_pylist())
    _, longer = extend(folder, to=32)
    executor = Untrained()
    run(longer, executor, folder)
    wanted = {trial.key for trial in build_design(longer).trials()}
    assert before < wanted
    assert {trial.key for trial in executor.asked} == wanted - before
    assert dict(open_results(folder).counts()) == {"ok": len(wanted)}
