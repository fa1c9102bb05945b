"""Designs extend exactly, repeat rows evenly, and give every trial seeds of its own."""

import numpy as np
import pytest

from vcm_sweep.sweep import Design, SobolDesign, Study, StudyError, build_design, train

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


def changed(*changes: tuple[str, str]) -> Study:
    """The study with these changes, on Saltelli's rows unless they say otherwise."""
    text = TEXT
    for old, new in changes:
        text = text.replace(old, new)
    return Study.from_text(text if "method" in text else text.replace("[design]\n", '[design]\nmethod = "sobol"\n'))


def design(*changes: tuple[str, str]) -> SobolDesign:
    return SobolDesign(changed(*changes))


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
    return build_design(changed(*changes))


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
        ('method = "moris"\nn = 16', "'moris' must be one of 'space', 'sobol', 'morris', 'shapley'"),
    ):
        with pytest.raises(StudyError, match=words):
            any_design(("n = 16", design))


def test_a_sobol_study_is_what_it_was_before_there_were_others() -> None:
    """Its digest names its folder: a new field must not change it."""
    spec = changed().canonical()["design"]
    assert spec == {"method": "sobol", "n": 16, "replicates": 1, "replicate_rows": 0, "seeds": "independent"}


SHAPLEY = ("n = 16", 'n = 16\nmethod = "shapley"')
GROUPS = '[design.groups]\nspread = ["read.noise.sigma", "r.d2d.sigma"]\n'
KINDS = {
    "sobol": "",
    "second order": "second_order = true\n",
    "groups": GROUPS,
    "second order of groups": f"second_order = true\n{GROUPS}",
    "morris": 'method = "morris"\n',
    "morris of groups": f'method = "morris"\n{GROUPS}',
    "shapley": 'method = "shapley"\n',
    "space": 'method = "space"\n',
    "space of groups": f'method = "space"\n{GROUPS}',
    "nested": "trainings = 2\n",
}
ROWS = {
    "sobol": 5, "second order": 8, "groups": 4, "second order of groups": 6, "morris": 4, "morris of groups": 3,
    "shapley": 4, "space": 1, "space of groups": 1, "nested": 5,
}  # fmt: skip


def of_kind(kind: str, n: int = 16, replicates: int = 4, rows: int = 0) -> Design:
    said = f"n = {n}\nreplicates = {replicates}\nreplicate_rows = {rows}\n{KINDS[kind]}"
    return any_design(("n = 16\n", said))


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_design_of_any_kind_begins_with_the_shorter_one(kind: str) -> None:
    small, large = of_kind(kind), of_kind(kind, n=64, replicates=6)
    assert small.block == ROWS[kind]
    assert np.array_equal(large.points[: len(small.points)], small.points)
    held = {(t.point, t.replicate): t.key for t in large.trials()}
    assert len(set(held.values())) == len(held) == len(large) == 64 * small.block * 6
    assert {(t.point, t.replicate): t.key for t in small.trials()}.items() <= held.items()
    # What is repeated once more is the next replicate of a design with more of them.
    once_more = {(t.point, t.replicate): t.key for t in of_kind(kind, rows=12).trials()}
    assert len(once_more) == len(small) + 12
    assert once_more.items() <= held.items()


@pytest.mark.parametrize("kind", ["second order", "groups", "second order of groups"])
def test_each_row_exchanges_the_columns_that_its_place_says(kind: str) -> None:
    d = of_kind(kind)
    columns = [[0, 2], [1]] if "groups" in kind else [[0], [1], [2]]
    assert list(d.groups) == (
        ["spread", "mismatch.global.mean"] if "groups" in kind else [f.name for f in d.study.factors]
    )
    blocks = d.points.reshape(16, -1, 3)
    a, b = blocks[:, 0], blocks[:, -1]
    rows = [(a, b, group) for group in columns]
    rows += [(b, a, group) for group in columns] if "second" in kind else []
    assert blocks.shape[1] == len(rows) + 2
    for row, (start, other, group) in enumerate(rows, 1):
        expected = start.copy()
        expected[:, group] = other[:, group]
        assert np.array_equal(blocks[:, row], expected), row


def test_two_rows_of_two_groups_that_meet_are_two_trainings() -> None:
    d = of_kind("second order of groups", replicates=1)
    blocks = d.points.reshape(16, 6, 3)
    # AB of the first group is BA of the second.
    assert np.array_equal(blocks[:, 1], blocks[:, 4])
    assert len({t.key for t in d.trials()}) == len(d)


def test_second_order_takes_over_what_a_first_order_study_has_done() -> None:
    first, second = ({t.key for t in of_kind(kind, replicates=1).trials()} for kind in ("sobol", "second order"))
    assert first < second


def test_shapley_trajectories_lead_from_one_point_to_another() -> None:
    d = any_design(SHAPLEY)
    scaled = d.scaled().reshape(16, 4, 3)
    assert scaled.min() >= 0.0
    assert scaled.max() <= 1.0
    assert np.array_equal((np.diff(scaled, axis=1) != 0).sum(axis=2), np.ones((16, 3)))
    orders = {tuple(np.argmax(np.diff(one, axis=0) != 0, axis=1)) for one in scaled}
    assert len(orders) > 3, "factors change in random order"
    assert abs(np.log10(d.points[:, 2]).mean() + 2) < 0.3


def test_points_in_space_fill_every_range_evenly_and_share_no_coordinate() -> None:
    d = any_design(("n = 16", 'n = 64\nmethod = "space"'))
    scaled = d.scaled()
    for column in scaled.T:
        # One point in each 64th of a range, which is what makes Sobol points more even than random ones.
        assert sorted(np.floor(column * 64).astype(int)) == list(range(64))
    assert np.allclose(d.unscaled(scaled), d.points, rtol=1e-12)
    assert len({t.seed for t in d.trials()}) == len(d) == 128, "two trainings of each, with luck of their own"


def test_a_point_in_space_is_trained_twice_unless_the_study_says_otherwise() -> None:
    assert Study.from_text(TEXT).canonical()["design"]["replicates"] == 2
    assert len(any_design(("n = 16", 'n = 16\nmethod = "space"\nreplicates = 1'))) == 16


def test_trainings_of_one_array_share_its_seed_and_nothing_else() -> None:
    d = of_kind("nested", rows=20)
    of_point = [d.trial(7, replicate).seeds for replicate in range(5)]
    assert [of_point[0].device == seeds.device for seeds in of_point] == [True, True, False, False, False]
    assert of_point[2].device == of_point[3].device != of_point[4].device
    for name in ("pulses", "io", "init", "data_order"):
        assert len({getattr(seeds, name) for seeds in of_point}) == 5, name
    # The first training of each array is what it was without nesting: its record is taken over.
    plain = {t.key for t in of_kind("sobol", rows=20).trials()}
    nested = list(d.trials())
    assert {t.key for t in nested if t.replicate % 2 == 0} < plain
    assert not {t.key for t in nested if t.replicate % 2} & plain


def test_trainings_of_one_array_are_made_of_the_same_cells() -> None:
    """Real trainings: the asymmetry is that of the cells as they were made."""
    text = TEXT.replace("n = 16\n", "n = 2\nreplicates = 4\ntrainings = 2\n").replace(
        "epochs = 1\n", "epochs = 1\ntrain_samples = 64\ntest_samples = 32\n"
    )
    d = build_design(Study.from_text(text))
    records = train([d.trial(1, replicate) for replicate in range(4)])
    assert [record.status for record in records] == ["ok"] * 4
    made = [record.asymmetry_sd for record in records]
    assert made[0] == made[1]
    assert made[2] == made[3] != made[0]
    assert len({record.loss for record in records}) == 4


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('method = "morris"\nsecond_order = true', "second_order = true is for method = 'sobol', and this is 'morris'"),
        ("second_order = 1", "second_order = 1 must be true or false"),
        ("[design.groups]\na = []", r"\[design.groups\] a = \[\] must be a list of factor names"),
        (
            '[design.groups]\na = ["r.d2d.sigm"]',
            "'r.d2d.sigm' is not a factor of the study; did you mean 'r.d2d.sigma'",
        ),
        (
            '[design.groups]\na = ["r.d2d.sigma"]\nb = ["r.d2d.sigma"]',
            "'r.d2d.sigma' is in a and in b: keep one",
        ),
        (
            '[design.groups]\na = ["r.d2d.sigma", "mismatch.global.mean", "read.noise.sigma"]',
            "a holds every factor: leave one out, or make two groups",
        ),
        (
            '[design.groups]\n"r.d2d.sigma" = ["read.noise.sigma"]',
            "r.d2d.sigma is the name of a factor that is in no group: rename the group",
        ),
        (
            'method = "shapley"\n[design.groups]\na = ["r.d2d.sigma"]',
            "groups are for method = 'space' or 'sobol' or 'morris'",
        ),
        (
            'method = "space"\nseeds = "common"',
            "seeds = 'common' is not for method = 'space', whose points have nothing",
        ),
        ("replicates = 2\ntrainings = 2", "replicates = 2 must be arrays times trainings = 2, with two arrays .*: 4"),
        ("replicates = 5\ntrainings = 2", "replicates = 5 must be arrays times trainings = 2, .*: 6"),
    ],
)
def test_a_design_that_cannot_be_is_one_line(said: str, words: str) -> None:
    with pytest.raises(StudyError, match=words) as refusal:
        any_design(("n = 16\n", f"n = 16\n{said}\n"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "more",
    [
        ("n = 16", "n = 16\nreplicates = 2\nreplicate_rows = 20"),
        MORRIS,
        SHAPLEY,
        ("n = 16", "n = 16\n" + GROUPS),
        ("n = 16", 'n = 16\nmethod = "space"\nreplicate_rows = 5'),
    ],
)
def test_numbers_and_places_of_trials_tell_each_other(more: tuple[str, str]) -> None:
    d = any_design(more)
    numbers = np.arange(len(d))
    points, replicates = d.places(numbers)
    assert np.array_equal(d.numbers(points, replicates), numbers)
    assert [(t.point, t.replicate) for t in d.trials()] == list(zip(points, replicates, strict=True))
    assert np.array_equal(np.bincount(points, minlength=len(d.points)), d.counts)
    beyond = d.numbers(np.array([-1, len(d.points), 0, 0]), np.array([0, 0, -1, 9]))
    assert beyond.tolist() == [-1] * 4
