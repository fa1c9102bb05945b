"""A study whose trainings all end at chance level has a report, with that as its headline and no advice to go on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vcm_sweep.analysis import AnalysisError, analyze, write_report
from vcm_sweep.cluster import main
from vcm_sweep.sweep import SobolDesign, Store, Study, TrialRecord, open_results

from ...studies import TINY

# Too slow to learn.
TEXT = (
    TINY.replace("lr = 0.02", 'lr = 1e-6\n[device]\nmodel = "explicit"\ndw_min = 1e-3')
    .replace("n = 4", "n = 16\nreplicates = 2")
)  # fmt: skip


def made(folder: Path, trained: Callable[[int], bool]) -> Path:
    """A study of which those seeds left chance level that ``trained`` says."""
    study = Study.from_text(TEXT)
    with Store.create(study, folder) as store:
        store.append(
            [
                TrialRecord(
                    t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=0.1 + 0.001 * (t.seed % 7),
                    loss=2.3, history=[0.1, 0.1], at_chance=not trained(t.seed), versions="{}",
                )
                for t in SobolDesign(study).trials()
            ]
        )  # fmt: skip
    return folder


@pytest.fixture
def low(tmp_path: Path) -> Path:
    return made(tmp_path / "r", lambda seed: False)


def test_a_study_at_chance_has_a_report_that_says_so_first_and_why(low: Path, tmp_path: Path) -> None:
    page = write_report(open_results(low), tmp_path / "page")
    text = (tmp_path / "page" / "report.md").read_text()
    assert page.exists()
    assert text.splitlines()[2] == "**100 % of the trainings ended at chance level.**"
    assert "lr = 1e-06 acts as 3e-05, which hardly fires a pulse: raise lr, or lower dw_min" in text.replace("\\", "")
    assert "widen" not in text
    assert "extend" not in text


def test_an_analysis_at_chance_names_the_likely_cause_and_asks_for_no_more_points(low: Path) -> None:
    with pytest.raises(AnalysisError, match=r"all 128 trainings .* more points would not: one pulse moves") as caught:
        analyze(open_results(low))
    assert "widen" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_the_command_says_it_too_where_a_few_trained_wherever_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth left chance level by luck: no ranking, by the page and the exit code alike."""
    some = made(tmp_path / "some", lambda seed: seed % 10 == 3)
    assert main(["report", str(some), "--out", str(tmp_path / "page")]) == 5
    assert "too few trained to tell the factors apart" in " ".join(capsys.readouterr().out.split())
    assert "at chance level" in (tmp_path / "page" / "report.md").read_text()
