"""A search that moves a factor with a list of values trains those values and the nominal one, and nothing between."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.analysis.tolerance import find_tolerances
from vcm_sweep.analysis.tolerance.space import sides_of
from vcm_sweep.sweep import LimitsDesign, Study, StudyError
from vcm_sweep.sweep.running.limits_study import limits_study

from .linear import HEAD, NOMINAL, TAIL, Counted, linear

TEXT = """
[study]
name = "lists"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
distribution = "norm"
mean = 0.04
sd = 0.01
[[factor]]
name = "read.noise.sigma"
distribution = "discrete"
values = [0.05, 0.01]
[design]
n = 16
"""


def test_places_on_the_way_are_values_of_the_list() -> None:
    normal, listed = sides_of(Study.from_text(TEXT))
    assert (normal.start, normal.limit) == pytest.approx((0.04 - 0.0309023, 0.04 + 0.0309023), abs=1e-6)
    assert (listed.start, listed.limit) == (0.01, 0.05)
    assert [listed.value(place) for place in (0.0, 0.4, 0.6, 1.0)] == [0.01, 0.01, 0.05, 0.05]
    assert normal.value(0.5) == pytest.approx(0.04)


def test_limits_go_to_the_stated_quantiles_and_to_the_ends_of_a_list() -> None:
    design = LimitsDesign(limits_study(Study.from_text(TEXT), n=8))
    levels = {(row.factor, row.end): row.level for row in design.rows}
    # The nominal value of both is 0, outside of what is sampled: both ends lie above it.
    assert levels[("r.d2d.sigma", "high")] == pytest.approx(0.0709023, abs=1e-6)
    assert levels[("read.noise.sigma", "high")] == 0.05


def test_choices_have_no_ends() -> None:
    text = TEXT.replace("discrete", "categorical").replace("values", "choices")
    with pytest.raises(StudyError, match=r"factor read.noise.sigma: distribution = 'categorical' has choices without"):
        LimitsDesign(limits_study(Study.from_text(text), n=8))
    with pytest.raises(StudyError, match="there are no ends to go to from its nominal value"):
        sides_of(Study.from_text(text))


LISTED = (
    HEAD.format(seed=1)
    + '[[factor]]\nname = "r.d2d.sigma"\nrange = [0.0, 0.08]\n'
    + '[[factor]]\nname = "read.noise.sigma"\ndistribution = "discrete"\nvalues = [0.0, 0.05]\n'
)
SLOPES = {"r.d2d.sigma": 0.3, "read.noise.sigma": 0.3}


@pytest.mark.parametrize("against", ["tolerance", "energy"])
def test_a_front_has_the_values_that_were_trained_and_their_tolerance(tmp_path: Path, against: str) -> None:
    """A value between those of the list is trained as the nearest, and counted as a place of its own it was free."""

    def values(factors: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
        return linear(SLOPES, 0.004)(factors, rng) | {"energy_j": 1e-9 * (2.0 - factors["r.d2d.sigma"])}

    asked = f'question = "trade-off"\nagainst = "{against}"\ntrials = 48\nconfirm = 4'
    answer = find_tolerances(
        Study.from_text(LISTED + TAIL.format(n=4, asked=asked)), Counted(values).executor(), tmp_path
    )
    assert answer.front
    for point in answer.front:
        assert point.values["read.noise.sigma"] in (0.0, 0.05)
        places = point.values["r.d2d.sigma"] / 0.08, point.values["read.noise.sigma"] / 0.05
        assert point.objectives[0].value == pytest.approx(NOMINAL - 0.3 * sum(places), abs=0.012)
        if against == "tolerance":
            assert point.objectives[1].value == pytest.approx(sum(places), abs=1e-9)


def test_all_at_once_counts_the_values_that_were_trained(tmp_path: Path) -> None:
    study = Study.from_text(
        LISTED + TAIL.format(n=4, asked='question = "joint"\ntarget = 0.87\ntrials = 80\nconfirm = 8')
    )
    answer = find_tolerances(study, Counted(linear(SLOPES, 0.004)).executor(), tmp_path, batch=16)
    rows = {row.factor: row for row in answer.rows}
    assert (rows["read.noise.sigma"].value, rows["read.noise.sigma"].share) == (0.0, 0.0)
    share = rows["r.d2d.sigma"].value / 0.08
    assert rows["r.d2d.sigma"].share == pytest.approx(share)
    assert any(f"is {share:.3g} of 2" in remark for remark in answer.remarks)
