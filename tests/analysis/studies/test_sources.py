"""Results and studies are given as objects or as paths; what is neither is the package's own error."""

from pathlib import Path

import pytest

from vcm_sweep import analysis
from vcm_sweep.analysis import AnalysisError
from vcm_sweep.sweep import (
    InProcessExecutor,
    StoreError,
    Study,
    StudyError,
    build_design,
    open_results,
    plan,
    run,
    train,
)

from ...studies import TINY

EXAMPLE = Path(__file__).parents[3] / "docs" / "example"


@pytest.mark.parametrize("source", [EXAMPLE, str(EXAMPLE)])
def test_a_folder_is_analysed_as_its_results_are(source: str | Path) -> None:
    options = {"method": "sobol", "resamples": 100}
    assert analysis.analyze(source, **options).ranking() == analysis.analyze(open_results(EXAMPLE), **options).ranking()


def test_a_study_file_is_planned_and_run(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    assert len(build_design(file)) == plan(file, tmp_path / "out").trials == 16
    results = run(str(file), InProcessExecutor(train), tmp_path / "out")
    assert results.study.digest == Study.from_toml(file).digest


@pytest.mark.parametrize("source", [None, 3, ["docs/example"]])
def test_what_is_neither_is_named(source: object) -> None:
    with pytest.raises(AnalysisError, match=r"^results = .* must be a results folder, or what open_results returns"):
        analysis.analyze(source)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match=r"^study = .* must be a study, or the path of a study file"):
        plan(source)  # type: ignore[arg-type]


def test_folders_and_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere is no results folder"):
        analysis.analyze(tmp_path / "nowhere")
    with pytest.raises(StudyError, match=r"nowhere.toml: there is no such file"):
        run(tmp_path / "nowhere.toml", InProcessExecutor(train))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": "a"}, "confidence: 'a' must be in"),
        ({"confidence": None}, "confidence: None must be in"),
        ({"confidence": 95}, "confidence: 95 must be in"),
        ({"resamples": 1e3}, "resamples: 1000.0 must be a whole number"),
        ({"resamples": 7}, "resamples: 7 must be a whole number"),
        ({"seed": "a"}, "seed: 'a' must be a whole number"),
    ],
)
def test_options_of_an_analysis_are_named_with_their_range(options: dict[str, object], words: str) -> None:
    with pytest.raises(AnalysisError) as caught:
        analysis.analyze(EXAMPLE, method="sobol", **options)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
