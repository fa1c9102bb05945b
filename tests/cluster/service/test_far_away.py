"""A service whose studies run on a Ray cluster, and a cluster that goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.settings import ServiceSettings

from ...studies import TINY
from ..ray_head import Head, environment_of
from .conftest import bearer
from .waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    made = Head.start(tmp_path / "home")
    for name, value in environment_of(made.home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    yield made
    made.kill()


def test_a_study_is_sent_to_the_cluster_and_a_cluster_that_went_is_said(head: Head, tmp_path: Path) -> None:
    settings = ServiceSettings.of(tmp_path / "studies", Place(address=head.address))
    service = Service.of(settings)
    client = TestClient(make_app(service), headers=bearer(service), raise_server_exceptions=False)
    started = client.post("/api/studies", json={"study": TINY})
    assert started.status_code == 201, started.text
    study = started.json()["study"]
    assert client.post("/api/studies", json={"study": TINY}).json()["fresh"] is False  # it is under way
    until(lambda: service.catalogue.card(study).state == "done", 500.0, 0.5)
    view = client.get(f"/api/studies/{study}").json()
    assert view["counts"] == {"ok": 16}
    assert view["session"]["job"]["address"] == head.address
    longer = client.post(f"/api/studies/{study}/extend", json={"to": 8})
    assert longer.status_code == 200, longer.text
    until(lambda: client.get(f"/api/studies/{study}").json()["counts"] == {"ok": 32}, 500.0, 0.5)
    until(lambda: service.catalogue.card(study).state == "done", 100.0, 0.5)
    head.kill()
    gone = client.post("/api/studies", json={"study": TINY.replace("n = 4", "n = 16")})
    assert (gone.status_code, "is its head up" in gone.json()["detail"]) == (503, True)
    assert client.get(f"/api/studies/{study}").json()["card"]["state"] == "done"  # what is there is there
    service.runs.close()
