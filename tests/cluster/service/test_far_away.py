"""A service whose studies run on a Ray cluster, and a cluster that goes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ...studies import TINY
from ..ray_head import Head, environment_of
from .waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def head(tmp_path: Path) -> Iterator[Head]:
    made = Head.start(tmp_path / "home")
    yield made
    made.kill()


@contextmanager
def serving(root: Path, head: Head) -> Iterator[httpx.Client]:
    """The service in a process of its own: Ray keeps for a whole process what it has once found as token."""
    words = ["serve", "--json", "--root", str(root), "--port", "0", "--address", head.address]
    environment = environment_of(head.home)
    del environment["RAY_AUTH_MODE"]  # as whoever serves has it: Ray finds the token by itself
    with subprocess.Popen(
        [sys.executable, "-m", "vcm_sweep.cluster.cli", *words], env=environment, stdout=subprocess.PIPE, cwd=os.sep
    ) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        headers = {"Authorization": f"Bearer {said['token_run'].split()[0]}"}
        with httpx.Client(base_url=said["service"], headers=headers, timeout=300.0) as client:
            yield client
        process.terminate()


def test_a_study_is_sent_to_the_cluster_and_a_cluster_that_went_is_said(head: Head, tmp_path: Path) -> None:
    with serving(tmp_path / "studies", head) as client:
        started = client.post("api/studies", json={"study": TINY})
        assert started.status_code == 201, started.text
        study = started.json()["study"]

        def state() -> str:
            return str(client.get(f"api/studies/{study}/card").json()["state"])

        assert client.post("api/studies", json={"study": TINY}).json()["fresh"] is False  # it is under way
        until(lambda: state() == "done", 500.0, 0.5)
        view = client.get(f"api/studies/{study}").json()
        assert view["counts"] == {"ok": 16}
        assert view["session"]["job"]["address"] == head.address
        longer = client.post(f"api/studies/{study}/extend", json={"to": 8})
        assert longer.status_code == 200, longer.text
        until(lambda: client.get(f"api/studies/{study}").json()["counts"] == {"ok": 32}, 500.0, 0.5)
        until(lambda: state() == "done", 100.0, 0.5)
        search = client.post(f"api/studies/{study}/tolerance", json={"drop": 0.1})
        assert (search.status_code, "run on the machine of the service" in search.json()["detail"]) == (400, True)
        head.kill()
        gone = client.post("api/studies", json={"study": TINY.replace("n = 4", "n = 16")})
        assert (gone.status_code, "is its head up" in gone.json()["detail"]) == (503, True)
        assert state() == "done"  # what is there is there
