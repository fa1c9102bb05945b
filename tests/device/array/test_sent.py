"""What a device is sent stands in one place there, which a recorded step goes on reading."""

import copy

import torch

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.sent_numbers import SentNumbers

CPU = torch.device("cpu")


def test_numbers_that_change_stay_in_their_place():
    rates = SentNumbers(torch.float64)
    first = rates.on(CPU, [0.1, 0.2])
    assert rates.on(CPU, [0.1, 0.3]) is first
    assert first.tolist() == [0.1, 0.3]
    assert rates.on(CPU, [0.1]).tolist() == [0.1]
    assert first.tolist() == [0.1, 0.3]


def test_a_count_is_sent_once_and_then_counted_there():
    count = Count(5)
    there = count.on(CPU)
    count.add()
    assert (count.number, there.tolist(), count.agrees) == (6, [6], True)
    assert count.on(CPU) is there


def test_a_count_that_is_set_is_sent_to_the_same_place():
    count = Count()
    there = count.on(CPU)
    count.number = 9
    assert not count.agrees
    assert count.on(CPU) is there
    assert (there.tolist(), count.agrees) == ([9], True)


def test_what_a_device_counted_by_itself_is_not_counted_twice():
    count = Count()
    there = count.on(CPU)
    there.add_(4)
    count.counted_there(4)
    assert (count.number, count.agrees) == (4, True)
    count.add()
    assert there.tolist() == [5]


def test_a_copy_counts_by_itself():
    count = Count(3)
    there = count.on(CPU)
    other = copy.deepcopy(count)
    other.add()
    assert (there.tolist(), count.number, other.on(CPU).tolist()) == ([3], 3, [4])
