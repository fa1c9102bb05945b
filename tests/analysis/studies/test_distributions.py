"""Indices of a linear function are the shares of its terms' variances, whatever the distributions; by closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from tests.analysis.synthetic import DesignedResults, designed_results
from vcm_sweep.analysis import AnalysisError, analyze, ask, gains, keeps, predict, range_indices, write_report
from vcm_sweep.analysis.asking.marginals import read_marginals
from vcm_sweep.analysis.asking.portable import portable
from vcm_sweep.sweep import Study

TEXT = """
[study]
name = "laws"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
distribution = "norm"
mean = 1.0
sd = 0.2
[[factor]]
name = "l.d2d.sigma"
distribution = "lognorm"
median = 0.5
sigma = 0.5
[[factor]]
name = "N_max.d2d.sigma"
distribution = "discrete"
values = [0.0, 1.0, 4.0]
probabilities = [0.5, 0.2, 0.3]
[[factor]]
name = "read.noise.sigma"
distribution = "triang"
range = [0.0, 1.0]
peak = 0.25
[[factor]]
name = "mismatch.d2d.sigma"
distribution = "beta"
range = [0.0, 2.0]
a = 2.0
b = 4.0
[[factor]]
name = "mismatch.global.mean"
distribution = "categorical"
choices = [0.5, -0.5]
[design]
method = "METHOD"
n = 512
"""
NAMES = ("r.d2d.sigma", "l.d2d.sigma", "N_max.d2d.sigma", "read.noise.sigma", "mismatch.d2d.sigma")


def cut_normal() -> float:
    """The variance of 1 +- 0.2 between its 0.1 % and 99.9 % quantiles."""
    z = 3.090232306167813
    return 0.2**2 * (1 - 2 * z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / 0.998)


def cut_lognormal() -> float:
    """The variance of a log-normal between its 0.1 % and 99.9 % quantiles, from its partial moments."""
    z, sigma = 3.090232306167813, 0.5
    first, second = (
        0.5**k * np.exp((k * sigma) ** 2 / 2) * (ndtr(z - k * sigma) - ndtr(-z - k * sigma)) / 0.998 for k in (1, 2)
    )
    return float(second - first**2)


VARIANCES = np.array([
    cut_normal(), cut_lognormal(),
    0.2 * 1 + 0.3 * 16 - (0.2 * 1 + 0.3 * 4) ** 2,
    (0.0 + 1.0 + 0.25**2 - 0.0 - 0.0 - 0.25) / 18,
    4 * 2 * 4 / (6**2 * 7),
])  # fmt: skip
# Terms with variances of 0.4, 0.3, 0.15, 0.1 and 0.05, and a factor without effect.
WANTED = np.array([0.4, 0.3, 0.15, 0.1, 0.05, 0.0])
SLOPES = np.append(np.sqrt(WANTED[:-1] / VARIANCES), 0.0)


def results(method: str, n: int = 512) -> DesignedResults:
    study = Study.from_text(TEXT.replace("METHOD", method).replace("n = 512", f"n = {n}"))
    return designed_results(study, lambda x: x @ SLOPES, sd=0.1)


@pytest.mark.parametrize(
    ("method", "by", "kind", "widest"),
    [
        ("space", "bounded", "total", 0.14),
        ("sobol", "sobol", "total", 0.25),
        ("shapley", "shapley", "shapley", 0.25),
        ("space", "hdmr", "first", 0.2),
        ("space", "rbd-fast", "first", 0.3),
    ],
)
def test_shares_of_the_variance(method: str, by: str, kind: str, widest: float) -> None:
    found = analyze(results(method), method=by, confidence=0.999)
    for index, share in zip(found.indices[kind], WANTED, strict=True):
        assert index.low - 0.01 <= share <= index.high + 0.01, (index, share)
        assert index.high - index.low < widest


@pytest.mark.parametrize("by", ["pawn", "delta"])
def test_distances_rank_a_factor_without_effect_last(by: str) -> None:
    ranked = [index.factor for index in analyze(results("space"), method=by).ranking()]
    assert ranked[-1] == "mismatch.global.mean"
    assert set(ranked[:2]) == {"r.d2d.sigma", "l.d2d.sigma"}


def test_morris_steps_are_those_of_probability() -> None:
    """Of two equal choices every step goes from one to the other; a factor that changes nothing has no effect."""
    found = analyze(results("morris", 200))
    assert found.verdict("mismatch.global.mean").startswith("not distinguishable")
    assert found.ranking()[-1].factor == "mismatch.global.mean"


def test_a_word_is_asked_by_its_name() -> None:
    text = TEXT.replace("METHOD", "space").replace("mismatch.global.mean", "network.activation")
    factors = Study.from_text(text.replace("[0.5, -0.5]", '["tanh", "sigmoid"]')).factors
    held = read_marginals(factors, {"network.activation": "tanh"})
    assert held.words() == "network.activation at tanh"
    assert held.each[-1].span == (0.5, 1.0)
    with pytest.raises(AnalysisError, match=r"network.activation: 1 was not sampled; hold it at one of sigmoid, tanh"):
        read_marginals(factors, {"network.activation": 1})


@pytest.mark.slow
def test_the_report_names_choices(tmp_path: Path) -> None:
    text = (
        TEXT.replace("METHOD", "space").replace("mismatch.global.mean", "network.activation").replace("= 512", "= 256")
    )
    study = Study.from_text(text.replace("[0.5, -0.5]", '["tanh", "sigmoid"]'))
    page = write_report(designed_results(study, lambda x: x @ SLOPES, sd=0.1), tmp_path).read_text(encoding="utf-8")
    assert "against network.activation, sigmoid, tanh: " in page
    told = json.loads(page.split('id="response">')[1].split("</script>")[0])["factors"][-1]
    assert (told["ordered"], told["values"], told["edges"]) == (False, ["sigmoid", "tanh"], [0.0, 0.5, 1.0])


def test_questions_are_asked_in_probability() -> None:
    """What is kept of a law keeps its shape: means and variances are those of the law between the new ends."""
    response = ask(results("space"), confidence=0.999)
    mean = predict(response).mean.value
    slopes = dict(zip(NAMES, SLOPES, strict=False))
    # Half of a normal factor: its mean falls by that of half of a cut normal law.
    z = 3.090232306167813
    fall = 0.2 * (1 - np.exp(-(z**2) / 2)) / np.sqrt(2 * np.pi) / 0.499
    half = next(gain for gain in gains(response) if gain.factor == "r.d2d.sigma" and gain.change == "lower half")
    assert half.prediction.marginals.words() == "r.d2d.sigma 0.381954 to 1, norm"
    gained = half.prediction.mean
    assert gained.low <= mean - slopes["r.d2d.sigma"] * fall <= gained.high
    # One level: points lie there, so it is measured.
    level = predict(response, {"N_max.d2d.sigma": 4})
    assert level.measured
    assert level.mean.low <= mean + slopes["N_max.d2d.sigma"] * (4 - 1.4) <= level.mean.high
    # Without the highest level the two others keep their ratio, 5 to 2.
    lower = range_indices(response, {"N_max.d2d.sigma": (0.0, 1.0)})
    own = slopes["N_max.d2d.sigma"] ** 2 * (2 / 7) * (5 / 7)
    index = next(index for index in lower.total if index.factor == "N_max.d2d.sigma")
    assert index.low <= own / (own + 0.85) <= index.high
    with pytest.raises(AnalysisError, match=r"N_max.d2d.sigma: 2 was not sampled; hold it at one of 0, 1, 4"):
        predict(response, {"N_max.d2d.sigma": 2})
    # Ends between levels are those of the levels inside; of 1 and 4 those up to the median are no half.
    above = {"N_max.d2d.sigma": (0.5, 4.0)}
    assert predict(response, above).marginals.words() == "N_max.d2d.sigma 1 to 4, discrete"
    halves = gains(response, base=above, kinds=("lower half",))
    assert {gain.factor for gain in halves} == set(NAMES) - set(above)
    with pytest.raises(AnalysisError, match=r"mismatch.global.mean: -0.5 to 0.5 has no meaning for choices"):
        predict(response, {"mismatch.global.mean": (-0.5, 0.5)})
    with pytest.raises(AnalysisError, match=r"keep: mismatch.global.mean has choices without an order"):
        keeps(response, 1.0)
    held = {"mismatch.global.mean": 0.5, "N_max.d2d.sigma": 1.0}
    sides = keeps(response, 1.0, base=held).sides
    assert {side.factor for side in sides} == set(NAMES) - set(held)
    # The output rises with every factor from 1.2 at the low ends.
    assert all(side.to > side.low for side in sides)
    told = portable(response)["factors"][-1]
    assert (told["ordered"], told["values"][0], told["values"][-1]) == (False, "-0.5", "0.5")
    assert (told["edges"][0], told["edges"][-1], len(told["edges"])) == (0.0, 1.0, len(told["values"]) + 1)


def test_a_part_of_a_list_holds_two_of_its_values() -> None:
    found = analyze(results("space"), within={"N_max.d2d.sigma": (0.0, 1.0)})
    assert next(iter(found.answer())).startswith("With N_max.d2d.sigma from 0 to 1, ")
    with pytest.raises(AnalysisError, match="must hold two values of its list or more, so that it varies: 0, 1, 4"):
        analyze(results("space"), within={"N_max.d2d.sigma": (0.5, 0.9)})
