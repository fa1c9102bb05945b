"""A service in a folder of its own, asked without a network; its runs are played by a small script."""

import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.settings import ServiceSettings

# Plays `vcm-sweep run`, `resume` and `tolerance`: it says that it runs until it is asked to stop, or until a file is
# there.
PLAYED = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--out") + 1] if "--out" in sys.argv else sys.argv[2])
id, root = os.environ["VCM_SWEEP_SESSION"], folder.parent
folder = folder / "tolerance" if sys.argv[1] == "tolerance" else folder
file, asked = folder / "sessions" / f"{id}.json", folder / "sessions" / f"{id}.stop"
print("played", *sys.argv[1:], flush=True)
with open(root / "played", "a") as told:
    told.write(" ".join([sys.argv[1], str(folder.relative_to(root))]) + chr(10))

def say(state, beat):
    plain = json.loads(file.read_text()) | {"state": state, "beat": beat, "pid": os.getpid()}
    plain["figures"] = {"done": beat, "total": 16, "failed": 0, "best": 0.5, "worst": 0.25}
    beside = file.with_suffix(".tmp")
    beside.write_text(json.dumps(plain))
    beside.replace(file)

beat = 0
while not asked.exists() and not (root / "hurry").exists():
    beat += 1
    say("running", beat)
    time.sleep(0.02)
say("stopped" if asked.exists() else "done", beat + 1)
"""


def served(root: Path, **changed: object) -> Service:
    """The service of a folder, whose runs are played."""
    script = root.parent / "played.py"
    script.write_text(PLAYED)
    settings = ServiceSettings.of(root, Place(in_process=True))
    return Service.of(replace(settings, **{"program": (sys.executable, str(script))} | changed))  # type: ignore[arg-type]


def bearer(service: Service, role: str = "run") -> dict[str, str]:
    """The header with a token of this role."""
    token = service.tokens.named(role)
    assert token is not None
    return {"Authorization": f"Bearer {token.token}"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "studies"


@pytest.fixture
def service(root: Path) -> Iterator[Service]:
    made = served(root)
    yield made
    (root / "hurry").touch()
    made.runs.close()


@pytest.fixture
def browser(service: Service) -> TestClient:
    """A client that nobody knows yet; it does not follow where it is sent."""
    return TestClient(make_app(service), follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture
def client(service: Service, browser: TestClient) -> TestClient:
    """A client that may run."""
    browser.headers.update(bearer(service))
    return browser


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    """Where the service listens, on a thread of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(make_app(service), log_config=None, timeout_graceful_shutdown=1, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20.0)
