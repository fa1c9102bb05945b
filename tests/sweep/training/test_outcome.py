"""What a record says of a training that has ended."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vcm_sweep.sweep.data.sets import DataSet, load
from vcm_sweep.sweep.training.outcome import most_by_guessing

COUNTS = {
    "MNIST": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "few": [7, 4, 5, 6, 5, 8, 7, 4, 8, 10],
    "rare": [900, 100],
}


def of_counts(counts: list[int]) -> DataSet:
    test_y = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return replace(load("digits"), test_y=test_y, classes=len(counts))


def test_always_the_most_common_class_is_no_more_than_guessing():
    """On MNIST that is right in 1,135 of 10,000 cases, which is more than three standard errors above a tenth."""
    assert 0.1135 < most_by_guessing(of_counts(COUNTS["MNIST"])) < 0.12
    assert 0.9 < most_by_guessing(of_counts(COUNTS["rare"])) < 0.95


@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
def test_answers_that_ask_nothing_of_the_sample_seldom_exceed_it_and_may_come_near(counts):
    """Whatever the classes are answered by, from one alone to all alike: 4,000 test sets' worth of answers each."""
    data, random = of_counts(counts), np.random.default_rng(7)
    top = int(np.argmax(counts))
    exceeded, best = 0.0, 0.0
    for others in (0.0, 0.1, 0.3, 0.6, 1.0):
        chances = np.full(len(counts), others / len(counts))
        chances[top] += 1 - others
        # How many of each class are answered by it.
        right = random.binomial(counts, chances, (4000, len(counts))).sum(1) / sum(counts)
        exceeded = max(exceeded, (right > most_by_guessing(data)).mean())
        best = max(best, np.quantile(right, 0.995))
    assert exceeded < 0.005
    assert best > 0.9 * most_by_guessing(data)


def test_a_few_test_samples_leave_more_to_chance():
    few, many = (most_by_guessing(load("digits").first(32, tests)) for tests in (40, 300))
    assert few > many > 0.1
