"""A service that is killed while somebody submits: the study is there whole or not at all, and nothing runs twice."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from vcm_sweep.sweep import Store, Study

from ...studies import TINY
from .waiting import until

ROOT = Path(__file__).parents[3]
STUDY = f"tiny-{Study.from_text(TINY).digest[:8]}"
SERVER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import uvicorn
from tests.cluster.service.conftest import served
from vcm_sweep.cluster.service.app import make_app
service = served(Path(sys.argv[1]))
service.actions.read(open(sys.argv[3]).read())  # what is compiled and imported once is not what is killed
uvicorn.run(make_app(service), port=int(sys.argv[2]), log_config=None)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def sent(root: Path, port: int, key: str) -> str:
    """Submit the study; the run's id."""
    token = json.loads((root / ".vcm-sweep" / "tokens.json").read_text())["tokens"][0]["token"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/studies",
        json.dumps({"study": TINY}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["run"])


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.4])
def test_a_kill_while_submitting_leaves_all_or_nothing_and_the_second_click_starts_one_run(
    delay_s: float, tmp_path: Path
) -> None:
    root, text = tmp_path / "studies", tmp_path / "tiny.toml"
    text.write_text(TINY)

    def serve() -> tuple["subprocess.Popen[bytes]", int]:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-c", SERVER, str(root), str(port), str(text)], cwd=tmp_path)

        def listens() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return True
            return False

        until(listens, 300.0)
        return process, port

    process, port = serve()

    def click() -> None:
        with suppress(OSError, urllib.error.URLError, ValueError):
            sent(root, port, "click")

    clicking = threading.Thread(target=click)
    clicking.start()
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    clicking.join()
    if (root / STUDY / "study.toml").exists():
        assert Store.open(root / STUDY).counts() == {}
    process, port = serve()
    try:
        runs = {sent(root, port, key) for key in ("click", "click", "another click")}
        assert len(runs) == 1
        until(lambda: (root / "played").exists())
        assert (root / "played").read_text().splitlines() == [f"run {STUDY}"]
        assert Store.open(root / STUDY).study.name == "tiny"
    finally:
        (root / "hurry").touch()
        process.kill()
        process.wait()
