"""`vcm-sweep serve`: what it prints, what it refuses, and a study that outlives it."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ...studies import TINY
from ..calling import Running, call
from ..service.waiting import until


def serve(root: Path, *options: object) -> tuple[Running, dict[str, Any]]:
    """A service on a free port, and what it has printed."""
    running = Running("serve", "--root", root, "--port", 0, "--json", "--in-process", *options, cwd=root.parent)
    until(lambda: running.printed().endswith("\n") or running.poll() is not None)
    return running, json.loads(running.printed())


def ask(said: dict[str, Any], path: str, sent: dict[str, Any] | None = None, token: str = "") -> Any:
    request = urllib.request.Request(f"{said['service']}{path}")
    request.add_header("Authorization", f"Bearer {token or said['token_run'].split()[0]}")
    if sent is not None:
        request.data = json.dumps(sent).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_a_run_outlives_the_service_and_the_next_one_finds_it(tmp_path: Path) -> None:
    running, said = serve(tmp_path / "studies")
    token = said["token_run"].split()[0]
    study = ask(said, "api/studies", {"study": TINY})["study"]
    running.kill()
    running.wait()
    again, now = serve(tmp_path / "studies")
    try:
        assert "token_run" not in now  # shown once
        until(lambda: ask(now, f"api/studies/{study}", token=token)["card"]["state"] == "done", 500.0, 0.5)
        view = ask(now, f"api/studies/{study}", token=token)
        assert view["counts"] == {"ok": 16}
        names = {file["path"] for file in ask(now, f"api/studies/{study}/files", token=token)}
        assert {"study.toml", "manifest.json"} <= names
        watched = urllib.request.Request(f"{now['service']}api/studies/{study}/events")
        watched.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(watched, timeout=30) as open_page:
            assert open_page.readline() == b"event: state\n"
            again.send_signal(signal.SIGINT)
            assert b"event: gone" not in open_page.read()  # it ends, and with it the service
        again.wait()
    finally:
        again.kill()
    _, words = again.communicate()
    assert (again.returncode, words) == (
        0, "vcm-sweep: no longer served; runs go on, and are there when it is served again\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--root", "s3://bucket/studies"], "--root s3://bucket/studies is in an object store"),
        (["--root", "x", "--prefix", "sweeps/"], "--prefix 'sweeps/' must be a path such as /sweeps"),
        (["--root", "x", "--allow-code", "nowhere"], "--allow-code nowhere is no folder"),
        (["--root", "x", "--port", "70000"], "'70000' must be a whole number from 0 to 65535"),
        (["--root", "x", "--host", "192.0.2.1"], "--host 192.0.2.1 --port 8470 cannot be listened on"),
        (["--root", "/proc/x"], "--root /proc/x cannot be written"),
        ([], "the following arguments are required: --root"),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = call("serve", *options, cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("options", "believed"), [((), "127.0.0.1"), (("--behind-proxy",), "203.0.113.9")])
def test_who_asks_is_taken_from_a_proxy_only_where_there_is_one(
    tmp_path: Path, options: tuple[str, ...], believed: str
) -> None:
    running, said = serve(tmp_path / "studies", *options)
    audit = tmp_path / "studies" / ".vcm-sweep" / "audit.jsonl"
    try:
        request = urllib.request.Request(f"{said['service']}login", b"token=wrong")
        request.add_header("X-Forwarded-For", "203.0.113.9")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30)
        until(lambda: audit.exists() and audit.read_text().endswith("\n"))  # it is written after the answer
    finally:
        running.kill()
        running.wait()
    assert json.loads(audit.read_text())["from"] == believed
