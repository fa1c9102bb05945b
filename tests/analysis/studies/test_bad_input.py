"""Stored records that do not support an analysis give one sentence that says what is wrong and what to run."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, analyze, bounded_indices
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep import (
    InProcessExecutor,
    Results,
    Study,
    StudyError,
    Trial,
    TrialRecord,
    build_design,
    open_results,
    run,
)
from vcm_sweep.sweep.store.merging import merge

from ..answering import TEXT, answering
from ..synthetic import Array, ishigami

SMALL = TEXT.replace("n = 256", "n = 16")


def refused(results: Results, **options: str) -> str:
    with pytest.raises(AnalysisError) as refusal:
        analyze(results, **options)  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def finished(folder: Path, text: str = SMALL, output: Callable[[Array], Array] = ishigami, sd: float = 0.5) -> Results:
    run(Study.from_text(text), answering(output, training_sd=sd), folder, pack=512)
    return open_results(folder)


def test_too_few_points(tmp_path: Path) -> None:
    few = finished(tmp_path / "few", SMALL.replace("n = 16", "n = 4"))
    assert refused(few).startswith("n: 4 base rows are too few for an interval; 8 or more are needed")
    assert "vcm-sweep extend" in refused(few)
    assert refused(few, method="pawn").startswith("n: 24 points are too few for this method; 64 or more are needed")


def space(n: int, replicates: int = 2) -> str:
    return TEXT.replace('"sobol"', '"space"').replace("n = 256\nreplicates = 2", f"n = {n}\nreplicates = {replicates}")


def test_points_in_space_that_allow_no_verdict(tmp_path: Path) -> None:
    said = refused(finished(tmp_path / "few", space(128)))
    assert said.startswith("n: 128 points are too few for a verdict, since 2.3 % of the box may hold none of them")
    once = refused(finished(tmp_path / "once", space(256, replicates=1)))
    assert "no row was trained twice, so training noise cannot be told from the factors; vcm-sweep extend" in once
    constant = finished(tmp_path / "constant", space(256), lambda u: 0.0 * u[:, 0] + 0.7, sd=0.0)
    assert refused(constant).startswith("accuracy: all trainings gave 0.7, so there is no variance to share out")


def test_nothing_trains_anywhere(tmp_path: Path) -> None:
    """Accuracies at chance differ a little, which is no sensitivity."""

    def hopeless(pack: Sequence[Trial]) -> list[TrialRecord]:
        return [replace(record, at_chance=True) for record in answering(ishigami).task(pack)]

    run(Study.from_text(space(256)), InProcessExecutor(hopeless), tmp_path / "out", pack=512)
    results = open_results(tmp_path / "out")
    assert refused(results).startswith(
        "accuracy: all 512 trainings diverged or ended at chance level, so nothing tells"
    )
    assert refused(results, metric="p_chance").startswith("p_chance: all trainings gave 1")


def few_train(u: np.ndarray) -> np.ndarray:
    """Only a corner of the box trains, 3 % of it: all that matters is being there."""
    return np.where((u[:, 0] < 0.17) & (u[:, 1] < 0.17), 0.9, 0.1)


def test_the_few_that_trained_may_be_the_answer(tmp_path: Path) -> None:
    """97 % end at chance, and still the two factors that decide it are found."""
    study = TEXT.replace("n = 256", "n = 1024")

    def learning(pack: Sequence[Trial]) -> list[TrialRecord]:
        records = answering(few_train, training_sd=0.005).task(pack)
        return [replace(record, at_chance=record.accuracy < 0.15) for record in records]

    run(Study.from_text(study), InProcessExecutor(learning), tmp_path / "out", pack=512)
    results = open_results(tmp_path / "out")
    names = [factor.name for factor in results.study.factors]
    assert {index.factor for index in analyze(results, method="sobol").ranking()[:2]} == set(names[:2])


def test_a_cliff_that_few_points_met_is_called_one(tmp_path: Path) -> None:
    """Few points of 256 fall from 0.9 to 0.1: more than noise, but of what part of the box nobody can tell."""
    said = refused(
        finished(tmp_path / "out", space(256), lambda u: np.where(u[:, :2].min(axis=1) > 0.93, 0.1, 0.9), sd=0.02)
    )
    assert "varies no more than training noise" in said
    assert "points lie far from all others, as beyond a cliff" in said
    assert "--metric p_chance asks what makes trainings fail" in said


def test_points_of_several_designs_are_not_mixed(tmp_path: Path) -> None:
    """Records go by key, so Saltelli's rows never become points in space, by reuse or by merging."""
    finished(tmp_path / "rows")
    asked = []

    def noting(pack: Sequence[Trial]) -> list[TrialRecord]:
        asked.extend(pack)
        return answering(ishigami).task(pack)

    run(Study.from_text(space(16)), InProcessExecutor(noting), tmp_path / "points", pack=512, reuse=[tmp_path / "rows"])
    assert len(asked) == 32
    with pytest.raises(VcmSweepError, match=r"design.method is .space. there and .sobol. here\): merge folders of one"):
        merge([tmp_path / "rows"], tmp_path / "points")
    u = np.random.default_rng(1).random((300, 2))
    with pytest.raises(AnalysisError, match="blocks: 1 to 2 rows each; all must have one size"):
        bounded_indices(u, u, ["x1", "x2"], blocks=np.minimum(np.arange(300), 298))


@pytest.mark.parametrize("method", ["sobol", "morris", "shapley", "pawn", "delta", "rbd-fast", "hdmr"])
def test_a_constant_output_is_no_index_of_zero(method: str, tmp_path: Path) -> None:
    of_design = method in ("morris", "shapley")
    text = SMALL.replace("sobol", method) if of_design else SMALL
    results = finished(tmp_path / "out", text, lambda u: 0.0 * u[:, 0] + 0.7, sd=0.0)
    said = refused(results, method=method)
    assert said.startswith("accuracy: all trainings gave 0.7, so there is no variance to share out; widen the ranges")


def test_a_block_that_is_not_finished(tmp_path: Path) -> None:
    def stopping(pack: Sequence[Trial]) -> list[TrialRecord]:
        if pack[0].point >= 64:
            raise KeyboardInterrupt
        return answering(ishigami).task(pack)

    study = Study.from_text(SMALL.replace("replicates = 2", "replicates = 1"))
    with pytest.raises(KeyboardInterrupt):
        run(study, InProcessExecutor(stopping), tmp_path / "out", pack=8)
    said = refused(open_results(tmp_path / "out"))
    assert f"of 96 points are not finished; vcm-sweep resume {tmp_path / 'out'} goes on where it stopped" in said


def test_no_row_was_trained_twice(tmp_path: Path) -> None:
    results = finished(tmp_path / "out", SMALL.replace("replicates = 2", "replicates = 1"))
    assert "no row was trained twice" in refused(results)
    assert "vcm-sweep extend --replicates 2 runs every row once more" in refused(results)


def test_a_method_of_another_design(tmp_path: Path) -> None:
    second = finished(tmp_path / "out", SMALL.replace("n = 16", "n = 16\nsecond_order = true"))
    said = refused(second, method="shapley")
    assert said.startswith("method: shapley needs a study with [design] method = 'shapley', and this one has 'sobol'")
    assert "pawn" in said


def test_records_of_another_study(tmp_path: Path) -> None:
    finished(tmp_path / "one")
    finished(tmp_path / "other", SMALL.replace("0.08", "0.05"))
    for part in (tmp_path / "other" / "parts").glob("*.parquet"):
        shutil.copy(part, tmp_path / "one" / "parts" / part.name.replace("-", "-f", 1))
    with pytest.raises(VcmSweepError, match=r"another study|foreign") as refusal:
        analyze(open_results(tmp_path / "one"))
    assert "\n" not in str(refusal.value)


def test_a_factor_that_cannot_vary() -> None:
    with pytest.raises(StudyError, match=r"r.d2d.sigma\] low = 0.08 must be below high = 0.08"):
        Study.from_text(SMALL.replace("range = [0.0, 0.08]", "range = [0.08, 0.08]"))
    with pytest.raises(StudyError, match="differ by rounding only, so it would never vary: widen the range"):
        Study.from_text(SMALL.replace("range = [0.0, 0.08]", "range = [0.08, 0.08000000000000001]"))


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ('size = ["r.d2d.sigma", "r.d2d"]', "size = 'r.d2d' is not a factor of the study; did you mean 'r.d2d.sigma'?"),
        ('size = ["r.d2d.sigma", 3]', "size = ['r.d2d.sigma', 3] must be a list of factor names"),
        ("size = []", "size = [] must be a list of factor names"),
        ('size = ["r.d2d.sigma", "r.d2d.sigma"]', "'r.d2d.sigma' is in size and in size: keep one"),
        ('"" = ["r.d2d.sigma", "l.d2d.sigma"]', "'' cannot be shown as a name"),
        ('"a\\nb" = ["r.d2d.sigma", "l.d2d.sigma"]', "'a\\nb' cannot be shown as a name"),
    ],
)
def test_a_group_with_an_odd_member_or_name(group: str, words: str) -> None:
    with pytest.raises(StudyError) as refusal:
        build_design(Study.from_text(f"{SMALL}[design.groups]\n{group}\n"))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    results = finished(tmp_path / "out", output=lambda u: np.where(u[:, 0] > 0.9, np.inf, ishigami(u)))
    assert "trainings that ended have no finite value, and no training writes such a record" in refused(results)
    assert "vcm-sweep run with the study file and another --out trains anew" in refused(results, policy="drop-block")


def test_trainings_without_effect_beyond_their_noise(tmp_path: Path) -> None:
    results = finished(tmp_path / "out", output=lambda u: 0.0 * u[:, 0])
    said = refused(results)
    assert "varies no more than training noise" in said
    assert "widen the ranges" in said


def test_some_trainings_at_chance_are_pointed_at(tmp_path: Path) -> None:
    """Both humps have a metric of their own; below one in fifty nothing is said."""

    def learning(pack: Sequence[Trial]) -> list[TrialRecord]:
        records = []
        for t in pack:
            low = t.factors["mismatch.global.mean"] > 0.3
            noise = 0.01 * np.random.default_rng(t.seed).normal()
            y = 0.1 + noise if low else 0.9 - 4 * t.factors["r.d2d.sigma"] + noise
            records.append(
                TrialRecord(t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=y, loss=0.0, at_chance=low)
            )
        return records

    run(Study.from_text(TEXT.replace("n = 256", "n = 64")), InProcessExecutor(learning), tmp_path / "out", pack=512)
    results = open_results(tmp_path / "out")
    hint = [note for note in analyze(results).notes() if "two humps" in note]
    assert len(hint) == 1
    assert hint[0].startswith("20 % of the trainings diverged or ended at chance level")
    assert analyze(results, "p_chance").ranking()[0].factor == "mismatch.global.mean"
    assert analyze(results, "accuracy_trained").ranking()[0].factor == "r.d2d.sigma"
    assert not [note for note in analyze(results, "accuracy_trained").notes() if "two humps" in note]
    assert not [note for note in analyze(finished(tmp_path / "none")).notes() if "two humps" in note]
