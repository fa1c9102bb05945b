"""A search that moves a factor with a list of values trains those values and the nominal one, and nothing between."""

import pytest

from vcm_sweep.analysis.tolerance.space import sides_of
from vcm_sweep.sweep import LimitsDesign, Study, StudyError
from vcm_sweep.sweep.running.limits_study import limits_study

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
