"""A study that is not finished is analysed as the smaller study that its first points are, and says so everywhere."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis import AnalysisError, analyze, write_report
from vcm_sweep.analysis.records.provisional import finished_part
from vcm_sweep.sweep import InProcessExecutor, Results, Study, Trial, TrialRecord, extend, open_results, run
from vcm_sweep.sweep.designs.build import build_design

from ..answering import TEXT, answering
from ..synthetic import ishigami


def text(method: str, n: int) -> str:
    return TEXT.replace('"sobol"', f'"{method}"').replace("n = 256", f"n = {n}")


def stopped(folder: Path, text: str, trainings: int) -> Results:
    """A study whose run was stopped after so many trainings."""
    left = [trainings]

    def task(pack: Sequence[Trial]) -> list[TrialRecord]:
        if left[0] <= 0:
            raise KeyboardInterrupt
        left[0] -= len(pack)
        return answering(ishigami, training_sd=0.5).task(pack)

    with pytest.raises(KeyboardInterrupt):
        run(Study.from_text(text), InProcessExecutor(task), folder, pack=32)
    return open_results(folder)


def finished(folder: Path, text: str) -> Results:
    run(Study.from_text(text), answering(ishigami, training_sd=0.5), folder, pack=512)
    return open_results(folder)


@pytest.mark.parametrize(("method", "n", "trainings"), [("space", 512, 640), ("sobol", 128, 12 * 80)])
def test_the_first_points_are_analysed_as_the_study_that_they_are(
    tmp_path: Path, method: str, n: int, trainings: int
) -> None:
    results = stopped(tmp_path / "stopped", text(method, n), trainings)
    there, in_all = results.records(["point"]).num_rows, len(results.design)
    assert there < 0.9 * in_all
    part = finished_part(results)
    smaller = part.study.design.n
    assert smaller in (n // 4, n // 2)
    found = analyze(results)
    same = analyze(finished(tmp_path / "whole", text(method, smaller)))
    for kind, indices in same.indices.items():
        assert [(index.value, index.low, index.high) for index in found.indices[kind]] == [
            (index.value, index.low, index.high) for index in indices
        ]
    assert found.answer()[0].startswith(
        f"Provisional, {there:,} of {in_all:,} trainings: over the stated ranges, r.d2d"
    )
    assert any(f"vcm-sweep resume {tmp_path / 'stopped'} goes on" in note for note in found.notes())
    page = write_report(results, tmp_path / "report").read_text(encoding="utf-8")
    assert f"Provisional, {there:,} of {in_all:,} trainings" in page
    assert same.answer()[0].startswith("Over the stated ranges, ")


def test_a_study_that_is_made_longer_keeps_its_answer_until_it_is_done(tmp_path: Path) -> None:
    before = analyze(finished(tmp_path / "out", text("space", 256)))
    extend(tmp_path / "out", to=512)
    after = analyze(tmp_path / "out")
    assert [index.value for index in after.ranking()] == [index.value for index in before.ranking()]
    assert after.answer()[0].startswith("Provisional, 512 of 1,024 trainings: ")


def test_too_few_finished_points_are_said_with_what_goes_on(tmp_path: Path) -> None:
    results = stopped(tmp_path / "out", text("space", 256), 160)
    with pytest.raises(AnalysisError) as refused:
        analyze(results)
    said = str(refused.value)
    assert "Provisional: 160 of 512 trainings are finished" in said
    assert f"vcm-sweep resume {tmp_path / 'out'} goes on where it stopped" in said
    assert said.endswith("no row was trained twice, so training noise cannot be told from the factors")
    assert "extend" not in said


def test_what_is_finished_is_what_a_smaller_design_has(tmp_path: Path) -> None:
    results = stopped(tmp_path / "out", text("space", 512), 640)
    part = finished_part(results)
    smaller = build_design(part.study)
    assert np.array_equal(part.points(), smaller.points)
    assert np.array_equal(part.cube(), smaller.cube)
    assert set(part.table()["point"].to_pylist()) == set(range(smaller.rows_in_all))
    assert part.blocks().shape == (smaller.study.design.n, 1, 2)
    assert np.isfinite(part.blocks()[:, :, 0]).all()
    assert finished_part(part) is part
