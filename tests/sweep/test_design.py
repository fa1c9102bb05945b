"""Designs extend exactly, repeat rows evenly, and give every trial seeds of its own."""

import numpy as np
import pytest

from vcm_sweep.sweep import Design, SobolDesign, Study, StudyError, build_design

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "read.noise.sigma"
range = [1e-3, 1e-1]
distribution = "loguniform"
[design]
n = 16
"""


def design(*changes: tuple[str, str]) -> SobolDesign:
    text = TEXT
    for old, new in changes:
        text = text.replace(old, new)
    return SobolDesign(Study.from_text(text))


def test_larger_design_begins_with_the_smaller_one() -> None:
    small, large = design(), design(("n = 16", "n = 32"))
    assert np.array_equal(large.points[: len(small.points)], small.points)
    # Equal points have equal keys: what is finished is taken over.
    assert {t.key for t in small.trials()} < {t.key for t in large.trials()}


def test_rows_follow_saltelli() -> None:
    d = design()
    blocks = d.points.reshape(16, 5, 3)
    a, b = blocks[:, 0], blocks[:, 4]
    for i in range(3):
        expected = a.copy()
        expected[:, i] = b[:, i]
        assert np.array_equal(blocks[:, 1 + i], expected)


def test_loguniform_and_ranges() -> None:
    points = design().points
    for column, (low, high) in enumerate([(0.0, 0.08), (-0.5, 0.5), (1e-3, 1e-1)]):
        assert points[:, column].min() >= low
        assert points[:, column].max() <= high
    assert abs(np.log10(points[:, 2]).mean() + 2) < 0.1


def test_repeated_rows_sample_all_matrices_alike() -> None:
    d = design(("n = 16", "n = 16\nreplicate_rows = 20"))
    twice = [point for point in range(len(d.points)) if d.replicates(point) == 2]
    assert len(twice) == 20
    assert len(d) == len(list(d.trials())) == 16 * 5 + 20
    rows = np.bincount([point % 5 for point in twice], minlength=5)
    assert rows.min() >= 3
    assert len({point // 5 for point in twice}) == 16


def test_seeds_differ_by_trial_and_common_seeds_by_base_row() -> None:
    seeds = [t.seed for t in design(("n = 16", "n = 16\nreplicates = 2")).trials()]
    assert len(set(seeds)) == len(seeds)
    common = list(design(("n = 16", 'n = 16\nseeds = "common"')).trials())
    assert len({t.seed for t in common}) == 16
    assert len({t.seed for t in common if t.point // 5 == 3}) == 1


MORRIS = ("n = 16", 'n = 16\nmethod = "morris"')


def any_design(*changes: tuple[str, str]) -> Design:
    text = TEXT
    for old, new in changes:
        text = text.replace(old, new)
    return build_design(Study.from_text(text))


def test_more_trajectories_begin_with_the_fewer() -> None:
    for seed in (1, 7):
        start = ('name = "tiny"', f'name = "tiny"\nseed = {seed}')
        small, large = any_design(start, MORRIS), any_design(start, ("n = 16", 'n = 37\nmethod = "morris"'))
        assert len(small.points) == 16 * 4
        assert np.array_equal(large.points[: len(small.points)], small.points)
        assert {t.key for t in small.trials()} < {t.key for t in large.trials()}


def test_each_row_of_a_trajectory_changes_one_factor_by_one_step() -> None:
    d = any_design(MORRIS)
    scaled = d.scaled().reshape(16, 4, 3)
    steps = np.diff(scaled, axis=1)
    # Four levels: 0, 1/3, 2/3, 1, and steps of 2/3.
    assert np.allclose(np.abs(scaled * 3 - np.rint(scaled * 3)), 0, atol=1e-9)
    assert np.allclose(np.sort(np.abs(steps), axis=2), [0, 0, 2 / 3])
    for trajectory in steps:
        assert sorted(np.argmax(np.abs(trajectory), axis=1)) == [0, 1, 2]


def test_trajectories_that_meet_are_trained_twice_with_luck_of_their_own() -> None:
    """Else one record would stand for two rows, and the other row would be missing for ever."""
    d = any_design(("n = 16", 'n = 200\nmethod = "morris"\nlevels = 2'))
    trials = list(d.trials())
    assert len({tuple(t.factors.values()) for t in trials}) == 8
    assert len({t.key for t in trials}) == len(trials) == 800


def test_levels_are_for_morris_and_even() -> None:
    for design, words in (
        ('method = "morris"\nlevels = 5\nn = 16', "levels = 5 must be even: 6"),
        ("levels = 4\nn = 16", "unknown key 'levels'"),
        ('method = "moris"\nn = 16', "'moris' must be one of 'sobol', 'morris'"),
    ):
        with pytest.raises(StudyError, match=words):
            any_design(("n = 16", design))


def test_a_sobol_study_is_what_it_was_before_there_were_others() -> None:
    """Its digest names its folder: a new field must not change it."""
    spec = Study.from_text(TEXT).canonical()["design"]
    assert spec == {"method": "sobol", "n": 16, "replicates": 1, "replicate_rows": 0, "seeds": "independent"}


@pytest.mark.parametrize("more", [("n = 16", "n = 16\nreplicates = 2\nreplicate_rows = 20"), MORRIS])
def test_numbers_and_places_of_trials_tell_each_other(more: tuple[str, str]) -> None:
    d = any_design(more)
    numbers = np.arange(len(d))
    points, replicates = d.places(numbers)
    assert np.array_equal(d.numbers(points, replicates), numbers)
    assert [(t.point, t.replicate) for t in d.trials()] == list(zip(points, replicates, strict=True))
    assert np.array_equal(np.bincount(points, minlength=len(d.points)), d.counts)
    beyond = d.numbers(np.array([-1, len(d.points), 0, 0]), np.array([0, 0, -1, 9]))
    assert beyond.tolist() == [-1] * 4
