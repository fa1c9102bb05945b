"""What tests of stores share: a small study, records of it, a real S3 server, and one that fails."""

import os
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from vcm_sweep.sweep import SobolDesign, Study, TrialRecord

TINY = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""


@pytest.fixture
def tiny() -> Callable[..., Study]:
    """Makes a study of 4 n trainings, with other lines in the place of some."""

    def make(n: int = 4, **changes: str) -> Study:
        text = TINY.replace("n = 4", f"n = {n}")
        for old, new in changes.items():
            assert old in text
            text = text.replace(f"{old} = 0.02", f"{old} = {new}")
        return Study.from_text(text)

    return make


@pytest.fixture
def records() -> Callable[..., list[TrialRecord]]:
    """Makes one record for each trial of a study, without training."""

    def make(study: Study, status: str = "ok", **values: Any) -> list[TrialRecord]:
        return [
            TrialRecord(
                t.key, t.point, t.replicate, t.factors, t.seed, status,
                **({"accuracy": 0.5, "history": [0.4, 0.5]} | values),
            )
            for t in SobolDesign(study).trials()
        ]  # fmt: skip

    return make


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server that speaks S3, for this session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URI of a fresh bucket; the environment is that of its user."""
    bucket = f"b{uuid.uuid4().hex[:12]}"
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")).close()
    for name, value in s3_environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}"


def s3_environment(address: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


class FailingServer(ThreadingHTTPServer):
    """Passes requests on to an S3 server, unless it is told to fail: "500", or "hang" for no answer at all."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.mode, self.failures = behind, "", 0
        self.only = ""
        self.stopped = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FailingServer

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else b""
        if self.server.mode and self.server.only in self.command:
            self.server.failures += 1
            if self.server.mode == "hang":
                self.server.stopped.wait(20)
                self.close_connection = True
                return
            self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
            return
        request = urllib.request.Request(f"{self.server.behind}{self.path}", data=body or None, method=self.command)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "content-length", "expect"):
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request) as answer:
                self._answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, dict(error.headers), error.read())

    def _answer(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(code)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing_s3(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FailingServer]]:
    """(URI of a fresh bucket, server before it that can be made to fail)."""
    server = FailingServer(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    yield s3, server
    server.stopped.set()
    server.shutdown()
    server.server_close()
    assert os.environ["AWS_ENDPOINT_URL"] == server.address
