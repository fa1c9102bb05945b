"""Designs extend exactly, repeat rows evenly, and give every trial seeds of its own."""

import numpy as np

from vcm_sweep.sweep import SobolDesign, Study

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
