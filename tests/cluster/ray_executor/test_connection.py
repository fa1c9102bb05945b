"""A cluster that does not come up is one line, whatever Ray raises."""

import re
import signal
import subprocess
import sys

import pytest

from vcm_sweep.cluster import RayExecutor
from vcm_sweep.cluster.ray_executor.connection import Connection, short_sockets
from vcm_sweep.cluster.ray_executor.survivors import watch_driver
from vcm_sweep.sweep import ExecutorError


def test_a_cluster_that_does_not_start_in_time_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        # As Ray does, with no class of its own.
        raise Exception("The current node timed out during startup.\nmore lines")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    with pytest.raises(ExecutorError, match=r"a Ray cluster on this machine cannot be used \(The current node"):
        next(RayExecutor(len).run([[]]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tmpdir", "ray_tmpdir", "given"),
    [
        ("/scratch/job/" + "x" * 60, None, {"_temp_dir": "/tmp/ray"}),
        ("/scratch/job/" + "x" * 60, "/short", {}),
        ("/scratch", None, {}),
        ("", None, {}),
    ],
)
def test_ray_keeps_its_sockets_in_a_short_folder_where_a_job_has_a_long_one(
    monkeypatch: pytest.MonkeyPatch, tmpdir: str, ray_tmpdir: str | None, given: dict[str, str]
) -> None:
    monkeypatch.setenv("TMPDIR", tmpdir)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    if ray_tmpdir:
        monkeypatch.setenv("RAY_TMPDIR", ray_tmpdir)
    assert short_sockets() == given


def test_a_path_that_is_too_long_for_a_socket_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        raise OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /x")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    with pytest.raises(ExecutorError, match=r"set RAY_TMPDIR=/tmp, or another short folder, or run --in-process"):
        Connection(None, 1)


KILLED = """
import ray
from vcm_sweep.cluster.ray_executor.connection import Connection
from vcm_sweep.sweep import ExecutorError

connection = Connection(None, 1)
connection.check()
raylet = ray._private.worker._global_node.all_processes["raylet"][0].process
raylet.kill()
raylet.wait(10)
try:
    connection.check()
except ExecutorError as error:
    print("told:", error, flush=True)
"""


@pytest.mark.ray
def test_a_cluster_of_this_machine_whose_raylet_is_killed_is_one_line() -> None:
    """Ray itself ends the process some seconds later, with exit code 1 and a text of its own."""
    # In a process of its own, since this one may be connected to the cluster of other tests.
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    [told] = [line for line in done.stdout.splitlines() if line.startswith("told:")]
    assert re.search(r"on this machine is gone \(its raylet was killed.* goes on", told)


@pytest.mark.slow
def test_what_a_killed_driver_leaves_behind_is_ended() -> None:
    # A shell stands for the raylet, and its child for an agent; of that the shell tells by its exit code.
    raylet = subprocess.Popen(["sh", "-c", "sleep 60 & echo; wait $!"], stdout=subprocess.PIPE)
    assert raylet.stdout is not None
    raylet.stdout.readline()
    watch = watch_driver(raylet.pid)
    assert watch.stdin is not None
    watch.stdin.close()
    assert raylet.wait(20) == 128 + signal.SIGKILL
    assert watch.wait(10) == 0
