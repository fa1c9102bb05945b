"""Tests that share something dear, such as a cluster of Ray, run in one process of ``-n``, where it is made once."""

import pytest


def test_the_tests_of_a_file_go_to_one_process(request: pytest.FixtureRequest, worker_id: str) -> None:
    """By their names, to which xdist adds the group: with pytest 9.2 it silently did not."""
    if worker_id == "master":
        pytest.skip("there is one process: make test has several")
    assert request.node.nodeid.endswith("@tests/test_grouping.py")
