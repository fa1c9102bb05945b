"""Options of the command line arrive complete, and can be turned back into words of a command line."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import build_parser
from vcm_sweep.cluster.options import Place, RunOptions, UntilOptions, in_words
from vcm_sweep.sweep import StudyError


def options_of(*words: str) -> RunOptions:
    return RunOptions.of(build_parser().parse_args(words))


@pytest.mark.parametrize("command", ["plan", "run", "resume", "retry", "extend", "limits", "tolerance"])
def test_what_is_not_given_has_its_default(command: str) -> None:
    assert options_of(command, "here") == RunOptions()


PLACES = [
    Place(data_dir=Path("/data"), in_process=True),
    Place(address="ray://head:10001", wait_for_nodes=300, device="cuda"),
    Place(cpus=3),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("command", ["plan", "run", "resume", "tolerance"])
def test_a_place_can_be_written_down_and_read_again(place: Place, command: str) -> None:
    assert options_of(command, "here", *in_words(place)).place == place


def test_how_to_run_arrives_whole() -> None:
    words = shlex.split("run study.toml --out there --pack 8 --deadline-s 60 --retry --reuse a b --no-report --json")
    assert options_of(*words) == RunOptions(
        out="there", pack=8, deadline_s=60.0, retry=True, reuse=["a", "b"], no_report=True, json=True
    )
    arguments = build_parser().parse_args(["resume", "there", "--in-process"])
    assert RunOptions.of(arguments, out=arguments.dir) == RunOptions(Place(in_process=True), out="there")


def test_goals_can_be_written_down_and_read_again() -> None:
    for goal in (UntilOptions(0.05), UntilOptions(0.1, 500, 2.5, "energy", "drop-block")):
        assert UntilOptions.of(build_parser().parse_args(["resume", "there", *in_words(goal)])) == goal
    assert UntilOptions.of(build_parser().parse_args(["run", "study.toml"])) is None


def test_what_belongs_to_a_goal_is_refused_without_one() -> None:
    with pytest.raises(StudyError, match="--budget-hours goes with --until: give that as well"):
        UntilOptions.of(build_parser().parse_args(["run", "study.toml", "--budget-hours", "2"]))


def test_what_a_cluster_is_told_is_what_the_driver_understands() -> None:
    """The submitter's options, but for the address, go to ``run`` on the cluster."""
    given = shlex.split("--data-dir /data --device cuda --wait-for-nodes 60 --no-report")
    submitted = options_of("submit", "s.toml", "--address", "http://head:8265", "--out", "there", *given)
    place = dataclasses.replace(submitted.place, address=None)
    run = options_of("run", "s.toml", *in_words(place), "--no-report")
    assert (str(run.place.data_dir), run.place.device, run.place.wait_for_nodes) == ("/data", "cuda", 60)
    assert submitted.no_report
