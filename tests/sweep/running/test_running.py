"""A run takes over what is known, retries what is asked, and keeps what it has when it is interrupted."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from vcm_sweep.sweep import (
    Executor,
    InProcessExecutor,
    Store,
    StoreError,
    Study,
    Trial,
    TrialRecord,
    open_results,
    plan,
    run,
)
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.merging import merge

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
method = "sobol"
n = 16
[run]
pack = 4
"""


def record(trial: Trial, status: str = "ok") -> TrialRecord:
    return TrialRecord(trial.key, trial.point, trial.replicate, trial.factors, trial.seed, status, accuracy=0.5)


class Noting:
    """A task that notes what it ran; some trials fail."""

    def __init__(self, fails: Callable[[Trial], str] = lambda _: "ok") -> None:
        self.keys: list[str] = []
        self.fails = fails

    def __call__(self, pack: Sequence[Trial]) -> list[TrialRecord]:
        self.keys += [trial.key for trial in pack]
        return [record(trial, self.fails(trial)) for trial in pack]


def test_an_edited_study_takes_over_what_is_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is its own; what its siblings beside it hold is not trained again."""
    monkeypatch.chdir(tmp_path)
    first, second = Noting(), Noting()
    run(Study.from_text(TEXT), InProcessExecutor(first))
    edited = Study.from_text(TEXT.replace("n = 16", "n = 32\nreplicate_rows = 3"))
    results = run(edited, InProcessExecutor(second))
    assert len(first.keys) == 64
    assert len(second.keys) == 32 * 4 + 3 - 64
    assert not set(first.keys) & set(second.keys)
    assert results.counts() == {"ok": 32 * 4 + 3}
    assert len(list(Path("runs").iterdir())) == 2
    # Nothing is equal with another learning rate.
    third = Noting()
    run(Study.from_text(TEXT.replace("lr = 0.02", "lr = 0.03")), InProcessExecutor(third))
    assert len(third.keys) == 64


def test_a_folder_of_ones_own_takes_over_what_is_named(tmp_path: Path) -> None:
    run(Study.from_text(TEXT), InProcessExecutor(Noting(lambda t: "error" if t.point < 2 else "ok")), tmp_path / "a")
    renamed = Study.from_text(TEXT.replace('"tiny"', '"other"').replace("n = 16", "n = 16\nreplicates = 2"))
    task = Noting()
    results = run(renamed, InProcessExecutor(task), tmp_path / "b", reuse=[tmp_path / "a"])
    # Failures are nothing to take over.
    assert len(task.keys) == 64 + 2
    assert results.counts() == {"ok": 128}
    with pytest.raises(StoreError, match="no results folder"):
        run(renamed, InProcessExecutor(task), tmp_path / "c", reuse=[tmp_path / "nothing"])
    assert not (tmp_path / "c").exists()


def test_points_of_two_designs_do_not_mix(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The one's trainings are none of the other's; that is said, with the field in which they differ."""
    sobol, space = Study.from_text(TEXT), Study.from_text(TEXT.replace("sobol", "space"))
    run(sobol, InProcessExecutor(Noting()), tmp_path / "sobol")
    task = Noting()
    with caplog.at_level(logging.WARNING):
        run(space, InProcessExecutor(task), tmp_path / "space", reuse=[tmp_path / "sobol"])
    assert len(task.keys) == 32
    (line,) = [r.getMessage() for r in caplog.records]
    differ = '(design.method is "sobol" there and "space" here)'
    assert line.startswith("nothing was taken over from ")
    assert line.endswith(f"sobol: it holds no training that is missing here {differ}")
    with pytest.raises(StoreError) as refusal:
        merge([tmp_path / "space", tmp_path / "sobol"], tmp_path / "merged")
    assert 'design.method is "s' in str(refusal.value)
    assert "merge folders of one study" in str(refusal.value)
    assert not (tmp_path / "merged").exists()


def test_a_sibling_that_cannot_be_read_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    run(Study.from_text(TEXT), InProcessExecutor(Noting()))
    next(Path("runs").glob("*/parts/*.parquet")).write_bytes(b"torn")
    task = Noting()
    with caplog.at_level(logging.WARNING):
        run(Study.from_text(TEXT.replace("n = 16", "n = 32")), InProcessExecutor(task))
    assert len(task.keys) == 128
    (line,) = [r.getMessage() for r in caplog.records if "taken over" in r.getMessage()]
    assert "\n" not in line


def test_only_the_failures_that_are_named_run_again(tmp_path: Path) -> None:
    def fails(trial: Trial) -> str:
        return {0: "timeout", 1: "oom", 2: "error"}.get(trial.point, "ok")

    study = Study.from_text(TEXT)
    run(study, InProcessExecutor(Noting(fails)), tmp_path / "out")
    for retry, points in ((False, 0), (["timeout", "oom"], 2), (["timeout"], 0), (True, 1), (True, 0)):
        task = Noting()
        results = run(study, InProcessExecutor(task), tmp_path / "out", retry=retry)
        assert len(task.keys) == points
        assert sum(results.counts().values()) == 64
    assert results.counts() == {"ok": 64}
    # A failure's record is replaced: one row per trial.
    assert results.table().num_rows == 64


def test_an_extended_study_is_gone_on_with_from_its_folder(tmp_path: Path) -> None:
    from vcm_sweep.sweep import extend

    study, out = Study.from_text(TEXT), tmp_path / "out"
    run(study, InProcessExecutor(Noting()), out)
    extend(out, to=32)
    with pytest.raises(StoreError, match=r"since it was extended: go on with vcm-sweep resume .*out"):
        run(study, InProcessExecutor(Noting()), out)
    run(Store.open(out).study, InProcessExecutor(Noting()), out)
    assert open_results(out).counts() == {"ok": 128}


class Interrupted(Executor):
    """Ctrl-C comes after two packs; a third is about to end."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def run(self, packs: Iterable[Sequence[Trial]]) -> Iterator[list[TrialRecord]]:
        waiting = iter(packs)
        for _ in range(2):
            yield [record(trial) for trial in next(waiting)]
        self.under_way = next(waiting)
        raise KeyboardInterrupt

    def finish(self, grace_s: float) -> Iterator[list[TrialRecord]]:
        self.asked.append(grace_s)
        yield [record(trial) for trial in self.under_way]


def test_what_ends_within_a_moment_of_ctrl_c_is_kept(tmp_path: Path) -> None:
    executor, study = Interrupted(), Study.from_text(TEXT)
    with pytest.raises(KeyboardInterrupt):
        run(study, executor, tmp_path / "out", grace_s=3.0)
    assert executor.asked == [3.0]
    assert open_results(tmp_path / "out").counts() == {"ok": 12, "missing": 52}
    task = Noting()
    assert run(study, InProcessExecutor(task), tmp_path / "out").counts() == {"ok": 64}
    assert len(task.keys) == 52


def test_states_of_trials_go_when_their_records_are_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that went with a record still in memory would be lost with it."""
    states = tmp_path / "out" / "checkpoints"
    write, seen = Store._write_table, []

    def looking(store: Store, table: object) -> None:
        keys = table["key"].to_pylist()  # type: ignore[index]
        seen.extend(keys)
        assert {f"{key}.safetensors" for key in keys} <= {path.name for path in states.iterdir()}
        write(store, table)

    def saving(pack: Sequence[Trial]) -> list[TrialRecord]:
        states.mkdir(exist_ok=True)
        for trial in pack:
            (states / f"{trial.key}.safetensors").write_bytes(b"state")
        return [record(trial) for trial in pack]

    monkeypatch.setattr(Store, "_write_table", looking)
    run(Study.from_text(TEXT), InProcessExecutor(saving), tmp_path / "out")
    assert len(seen) == 64
    assert not states.exists()


def test_plan_knows_the_size_and_makes_nothing(tmp_path: Path) -> None:
    study, out = Study.from_text(TEXT.replace("n = 16", "n = 16\nreplicates = 2")), tmp_path / "out"
    size = plan(study, out)
    assert (size.points, size.trials, size.done, size.packs) == (64, 128, 0, 32)
    # A block of D + 2 = 4 rows is lost when one of them is.
    assert size.lost_share(0.1) == pytest.approx(1 - 0.9**4)
    assert not out.exists()
    run(study, InProcessExecutor(Noting()), out)
    assert plan(study, out).packs == 0


def test_records_of_another_model_version_are_not_gone_on_with(tmp_path: Path) -> None:
    run(Study.from_text(TEXT), InProcessExecutor(Noting()), tmp_path / "out")
    (tmp_path / "out" / "frozen.json").write_text('{"model_version": 2}')
    with pytest.raises(StoreError, match=r"was made by model version 2, and this is \d+: its results stay readable"):
        run(Store.open(tmp_path / "out").study, InProcessExecutor(Noting()), tmp_path / "out")


def test_states_that_a_killed_driver_left_beside_their_records_go(tmp_path: Path) -> None:
    """Killed between the record and its state: nobody would look at that state again. A late trial keeps its own."""
    study = Study.from_text(TEXT)
    late = lambda trial: "timeout" if trial.point == 3 else "ok"  # noqa: E731
    run(study, InProcessExecutor(Noting(late)), tmp_path / "out")
    states = tmp_path / "out" / "checkpoints"
    states.mkdir()
    keys = {row["point"]: row["key"] for row in open_results(tmp_path / "out").table().to_pylist()}
    for point in (2, 3):
        (states / f"{keys[point]}.safetensors").write_bytes(b"state")
    run(study, InProcessExecutor(Noting()), tmp_path / "out")
    assert [path.name for path in states.iterdir()] == [f"{keys[3]}.safetensors"]


def test_states_that_cannot_be_listed_do_not_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store may be away just then; the store itself would have waited for it."""
    names = Folder.names

    def refuse(folder: Folder, under: str = "", suffix: str = "") -> list[str]:
        if folder.path.endswith("checkpoints"):
            raise OSError(5, "Input/output error")
        return names(folder, under, suffix)

    monkeypatch.setattr(Folder, "names", refuse)
    assert run(Study.from_text(TEXT), InProcessExecutor(Noting()), tmp_path / "out").counts() == {"ok": 64}
