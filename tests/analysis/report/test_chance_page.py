"""A study whose trainings all end at chance level has a report, with that as its headline and no advice to go on."""

from pathlib import Path

import pytest

from vcm_sweep.analysis import AnalysisError, analyze, write_report
from vcm_sweep.sweep import SobolDesign, Store, Study, TrialRecord, open_results

TEXT = """
[study]
name = "low"
[network]
hidden = [8]
data = "digits"
epochs = 2
batch = 32
lr = 1e-6
[device]
model = "explicit"
dw_min = 1e-3
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 16
replicates = 2
"""


@pytest.fixture
def low(tmp_path: Path) -> Path:
    study = Study.from_text(TEXT)
    with Store.create(study, tmp_path / "r") as store:
        store.append(
            [
                TrialRecord(
                    t.key, t.point, t.replicate, t.factors, t.seed, "ok", accuracy=0.1 + 0.001 * (t.seed % 7),
                    loss=2.3, history=[0.1, 0.1], at_chance=True, versions="{}",
                )
                for t in SobolDesign(study).trials()
            ]
        )  # fmt: skip
    return tmp_path / "r"


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
