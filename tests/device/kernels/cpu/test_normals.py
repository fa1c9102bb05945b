"""The normal numbers of the compiled product: their law, and that no two rows share one."""

import numpy as np
from scipy import stats

from vcm_sweep.device.kernels.cpu.normals import LARGEST, fill_centred, fill_normal
from vcm_sweep.device.seeds import stream_key

COUNT = 1_000_000
FALSE_ALARM = 1e-6  # of each test of a law


def _row(fill, key, count=COUNT):
    numbers = np.empty(count, np.float32)
    fill(np.uint64(key), numbers)
    return numbers


def test_numbers_are_standard_normal_in_both_halves_and_in_the_tails():
    numbers = _row(fill_normal, stream_key(1)).astype(float)
    for half in np.split(numbers, 2):
        assert stats.kstest(half, "norm").pvalue > FALSE_ALARM
    for beyond in (3.0, 4.0):
        for side in (numbers > beyond, numbers < -beyond):
            assert stats.binomtest(int(side.sum()), COUNT, stats.norm.sf(beyond)).pvalue > FALSE_ALARM
    assert np.abs(numbers).max() < LARGEST


def test_the_two_numbers_of_a_word_are_independent():
    first, second = np.split(_row(fill_normal, stream_key(2)).astype(float), 2)
    limit = stats.norm.isf(FALSE_ALARM / 2) / np.sqrt(len(first))
    for one, other in ((first, second), (np.abs(first), np.abs(second)), (first**2, second), (first[1:], first[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < limit
    # So their squares add up to an exponential law, whose extremes are those of the radius.
    assert stats.kstest((first**2 + second**2) / 2, "expon").pvalue > FALSE_ALARM


def test_centred_numbers_are_uniform():
    numbers = _row(fill_centred, stream_key(3)).astype(float)
    assert stats.kstest(numbers + 0.5, "uniform").pvalue > FALSE_ALARM
    assert np.abs(numbers).max() <= 0.5


def test_rows_of_other_keys_have_other_numbers():
    rows = np.stack([_row(fill_normal, stream_key(4, row), 1000) for row in range(50)]).astype(float)
    correlation = np.corrcoef(rows) - np.eye(50)
    assert np.abs(correlation).max() < stats.norm.isf(FALSE_ALARM / 50**2) / np.sqrt(1000)


def test_a_row_is_a_function_of_its_key_and_length():
    assert np.array_equal(_row(fill_normal, 7, 64), _row(fill_normal, 7, 64))
    assert not np.array_equal(_row(fill_normal, 7, 64), _row(fill_normal, 8, 64))
