"""Packs: the corners of the ranges first, then the longest, and every trial once."""

from pathlib import Path

import numpy as np
import pytest

from vcm_sweep.sweep import Study, build_design
from vcm_sweep.sweep.packs.order import Order, corner_points
from vcm_sweep.sweep.packs.size import sample
from vcm_sweep.sweep.training.stackable import splitting, stack_key

DEMO = (Path(__file__).parents[3] / "studies" / "demo.toml").read_text(encoding="utf-8")
TEXT = DEMO[: DEMO.index("[design]")] + '[design]\nmethod = "sobol"\nn = 128\nreplicate_rows = 128\n'


def an_order(n: int = 32, pack: int = 8) -> Order:
    text = TEXT.replace("n = 128", f"n = {n}").replace("replicate_rows = 128", "replicate_rows = 40")
    design = build_design(Study.from_text(text))
    return Order(design, np.arange(len(design)), pack)


def test_the_first_packs_span_the_ranges() -> None:
    order = an_order()
    scaled = order.design.scaled()
    packs = order.packs()
    first = {trial.point for _ in range(2) for trial in next(packs)}
    corners = set(corner_points(order.design).tolist())
    assert 8 <= len(corners) <= 12
    assert corners <= first
    found = scaled[sorted(corners)]
    assert np.allclose(found.max(0), scaled.max(0))
    assert np.allclose(found.min(0), scaled.min(0))
    for end in (0, 1):
        assert np.argmin(((scaled - end) ** 2).sum(1)) in corners


def test_a_small_design_is_its_own_pilot() -> None:
    order = an_order(2, 4)
    assert len(corner_points(order.design, 100)) == len(order.design.points) == 14
    assert sorted(t.point for pack in order.packs() for t in pack if t.replicate == 0) == list(range(14))


@pytest.mark.parametrize("method", ["sobol", "space", "morris"])
def test_once_costs_are_known_packs_are_of_like_trials_and_the_longest_come_first(method: str) -> None:
    text = TEXT.replace("sobol", method)
    design = build_design(Study.from_text(text))
    order = Order(design, np.arange(len(design)), 16)

    def seconds(point: int) -> float:
        return float(np.exp(3 * design.scaled()[point, 1]))

    done, spreads, means = [], [], []
    for pack in order.packs():
        costs = [seconds(trial.point) for trial in pack]
        done += [(trial.point, trial.replicate) for trial in pack]
        if order.costs.rows:
            spreads.append(max(costs) / min(costs))
            means.append(np.mean(costs))
        order.learn([trial.point for trial in pack], costs)
    assert sorted(done) == sorted((t.point, t.replicate) for t in design.trials())
    assert np.median(spreads) < 1.15
    assert means[0] > 0.8 * np.exp(3)
    # Each time more is known the rest is sorted anew.
    assert np.mean(np.diff(means) <= 1e-9) > 0.9
    assert means[-1] < 1.3


def test_a_hundred_thousand_points_cost_the_driver_little() -> None:
    order = an_order(16384, 250)
    assert order.left > 100_000
    assert len(next(order.packs())) == 250
    held = order._left.nbytes + order._scaled.nbytes + order.design.points.nbytes
    assert held < 200 * order.left


SPLIT = TEXT.replace(
    "[design]",
    '[[factor]]\nname = "network.batch"\nrange = [30, 32]\n'
    '[[factor]]\nname = "device.pulse_s"\nrange = [5e-7, 1e-6]\n[design]',
)


def test_a_pack_holds_trials_that_can_be_stacked_and_every_trial_once() -> None:
    design = build_design(Study.from_text(SPLIT))
    order = Order(design, np.arange(len(design)), 16)
    expected = len(order.cut())
    packs = list(order.packs())
    assert len(packs) == expected < len(design) / 16 + 3
    assert {len({trial.inputs["network"]["batch"] for trial in pack}) for pack in packs} == {1}
    assert max(len({trial.inputs["device"]["pulse_s"] for trial in pack}) for pack in packs) > 8
    done = [(trial.point, trial.replicate) for pack in packs for trial in pack]
    assert sorted(done) == sorted((trial.point, trial.replicate) for trial in design.trials())


def test_choices_of_words_that_need_other_stacks_split_packs() -> None:
    words = (
        '[[factor]]\nname = "update.pulse_type"\ndistribution = "categorical"\nchoices = ["STOCHASTIC", "MEAN_COUNT"]\n'
    )
    design = build_design(Study.from_text(TEXT.replace("[design]", words + "[design]").replace("n = 128", "n = 32")))
    assert splitting(design.study.factors) == ["update.pulse_type"]
    packs = list(Order(design, np.arange(len(design)), 16).packs())
    kinds = [{trial.inputs["device"]["update"]["pulse_type"] for trial in pack} for pack in packs]
    assert {tuple(kind) for kind in kinds} == {("STOCHASTIC",), ("MEAN_COUNT",)}


def test_sizes_of_packs_are_tried_with_trials_that_can_be_stacked() -> None:
    chosen = sample(build_design(Study.from_text(SPLIT)), "cpu")
    assert len(chosen) > 16
    assert len({stack_key(trial.inputs) for trial in chosen}) == 1
