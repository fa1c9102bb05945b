"""What a record says of a training that has ended."""

from dataclasses import replace

import pytest
import torch

from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.training.outcome import most_by_guessing


def test_always_the_most_common_class_is_no_more_than_guessing():
    """On MNIST that is right in 1,135 of 10,000 cases, which is more than three standard errors above a tenth."""
    data = load("digits")
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    mnist = replace(data, test_y=torch.repeat_interleave(torch.arange(10), torch.tensor(counts)))
    assert most_by_guessing(mnist) == pytest.approx(0.1135 + 3 * (0.1135 * 0.8865 / 10_000) ** 0.5)
    assert 0.1135 < most_by_guessing(mnist) < 0.125


def test_a_few_test_samples_leave_more_to_chance():
    few, many = (most_by_guessing(load("digits").first(32, tests)) for tests in (40, 300))
    assert few > many > 0.1
