"""The points inside a part of the ranges are a study of that part, with shares that are known there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import qmc

from vcm_sweep.analysis import AnalysisError, analyze
from vcm_sweep.analysis.studies.second_opinion import second_opinions
from vcm_sweep.cluster import main

from ..stored import stored
from ..synthetic import Array, SyntheticFactor, SyntheticResults, synthetic_design, synthetic_study, with_noise

FACTORS = (SyntheticFactor("first", 0.0, 2.0), SyntheticFactor("second", 0.0, 0.1), SyntheticFactor("inert", 1, 2))
ABOVE = {"first": (0.6, 2.0)}
"""Without the cliff; u from 0.3 on."""


def with_cliff(u: Array) -> Array:
    return np.where(u[..., 0] < 0.3, 0.1, 0.9 - 0.2 * u[..., 0] - 0.1 * u[..., 1])


def results(n: int = 512) -> SyntheticResults:
    u = qmc.Sobol(3, rng=1).random(n)[:, None]
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    study = synthetic_study(FACTORS, design=synthetic_design("space", n=n))
    return SyntheticResults(study, low + u * (high - low), with_noise(np.random.default_rng(1), with_cliff(u), 2, 0.01))


def test_beside_the_cliff_shares_are_those_of_the_slope() -> None:
    made = results()
    whole = analyze(made, resamples=200)
    part = analyze(made, within=ABOVE, resamples=200)
    # Slopes 0.2 * 0.7 and 0.1 over what is left: 0.0196 and 0.01 of the variance.
    for index, share in zip(part.total, (0.0196 / 0.0296, 0.01 / 0.0296, 0.0), strict=True):
        assert index.low - 0.01 <= share <= index.high + 0.01, index
    first = {index.factor: index for index in part.total}["second"]
    assert (first.high - first.low) / 2 < 0.06
    assert whole.total[1].value < 0.05, "the cliff hides it"
    inside = int((with_cliff(made.points()[:, None] / np.array([2.0, 0.1, 1.0]))[:, 0] != 0.1).sum())
    assert f"Analysed within first from 0.6 to 2: {inside} of 512 points." in part.notes()
    assert part.failures is not None
    assert (part.failures.units, part.failures.dropped) == (inside, 0)
    (opinion,) = second_opinions(made, part, within=ABOVE)
    assert opinion.agrees


@pytest.mark.parametrize(
    ("within", "words"),
    [
        ({"frist": (0.6, 2.0)}, "within: frist is no factor of the study; did you mean first? it varied first, second"),
        ({"first": (0.6, 3.0)}, "within: first from 0.6 to 3 must be a part of what was sampled, 0 to 2"),
        ({"first": (0.6, 0.6)}, "within: first from 0.6 to 0.6 must be a part"),
        ({"first": 0.6}, "within: first = 0.6 must be two numbers, (low, high)"),
        ({"first": (0.6,)}, "must be two numbers, (low, high)"),
        ({"first": (0.6, "1")}, "must be two numbers, (low, high)"),
        ({"second": (0.0, 0.005)}, "n: 13 points are too few"),
    ],
)
def test_no_part_of_the_ranges_is_one_line(within: dict[str, tuple[float, float]], words: str) -> None:
    with pytest.raises(AnalysisError) as refused:
        analyze(results(256), within=within)
    assert words in str(refused.value)


def test_failures_outside_of_the_part_are_none_of_its() -> None:
    made = results()
    below = np.flatnonzero(made.points()[:, 0] < 0.6)
    failed = replace(made, statuses={2 * int(k): "oom" for k in below})
    part = analyze(failed, within=ABOVE, resamples=200)
    assert part.failures is not None
    assert part.failures.trainings == 2 * (512 - len(below))
    assert not part.failures.failed
    assert part.answer()[0].startswith("With first from 0.6 to 2, first accounts for")
    with pytest.raises(AnalysisError, match=f"{len(below)} of 1024 trainings failed"):
        analyze(failed)


def test_a_part_that_ended_at_chance_is_refused_as_one() -> None:
    made = results(1024)
    with pytest.raises(AnalysisError, match="all 614 trainings diverged or ended at chance level"):
        analyze(made, within={"first": (0.0, 0.5996)})


def test_rows_of_saltelli_have_no_parts() -> None:
    made = results(256)
    study = synthetic_study(FACTORS, design=synthetic_design("sobol", n=256))
    with pytest.raises(AnalysisError, match=r"within: needs the independent points .* this study has 'sobol'"):
        analyze(replace(made, study=study), within=ABOVE)


def test_the_command_analyses_a_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "synthetic"
    made = stored(folder, 512, design='method = "space"\n')
    name, high = made.study.factors[0].name, made.study.factors[0].high
    assert main(["analyze", str(folder), "--within", f"{name}=0:{0.8 * high}"]) == 0
    assert f"Analysed within {name} from 0 to {0.8 * high:g}:" in " ".join(capsys.readouterr().out.split())
    assert main(["analyze", str(folder), "--within", f"{name}=0:{2 * high}"]) == 5
    assert "must be a part of what was sampled" in capsys.readouterr().err


def test_too_few_points_in_a_part_name_the_study_that_has_enough() -> None:
    """A study of the n that is named has enough points there, and one of half of it has not."""
    part = {"first": (0.6, 1.3)}
    with pytest.raises(
        AnalysisError, match=r"n: \d+ points are too few .* vcm-sweep extend synthetic --to \d+"
    ) as caught:
        analyze(results(256), within=part)
    n = int(str(caught.value).partition("--to ")[2].split()[0])
    assert analyze(results(n), within=part, resamples=100).over.startswith("With first")
    with pytest.raises(AnalysisError, match=f"--to {n}"):
        analyze(results(n // 2), within=part)
