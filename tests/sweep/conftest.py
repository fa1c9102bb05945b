"""What tests of stores share: a small study, records of it, a real S3 server, and one that can be made to fail."""

import socket
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from vcm_sweep.sweep import SobolDesign, Study, TrialRecord

from ..studies import TINY


@pytest.fixture
def tiny() -> Callable[..., Study]:
    """Makes a study of 4 n trainings; ``changes`` replace values in its text."""

    def make(n: int = 4, **changes: str) -> Study:
        text = TINY.replace("n = 4", f"n = {n}")
        for name, value in changes.items():
            assert f"{name} = 0.02" in text
            text = text.replace(f"{name} = 0.02", f"{name} = {value}")
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
    """The address of an S3 server, for the whole session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a new bucket; the environment is set so that this process can use it."""
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


class FailingServer:
    """Passes bytes on to an S3 server, unless it is told to fail: ``mode`` "500", or "hang" for no answer at all.

    If ``heals_after`` is not 0, it works again after so many failures.
    """

    _REFUSAL = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def __init__(self, behind: str) -> None:
        place = urlsplit(behind)
        self._behind = (str(place.hostname), int(place.port or 80))
        self.mode, self.failures, self.heals_after = "", 0, 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._behind)
                for source, target, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass_on, args=(source, target, asks), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError), source, target:
            while content := source.recv(1 << 16):
                if asks and (mode := self.mode):
                    self.failures += 1
                    if self.failures == self.heals_after:
                        self.mode = ""
                    if mode == "hang":
                        time.sleep(20)
                    source.sendall(self._REFUSAL)
                    return
                target.sendall(content)


@pytest.fixture
def failing_s3(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FailingServer]]:
    """(URI of a fresh bucket, server before it that can be made to fail)."""
    server = FailingServer(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    yield s3, server
    server.close()
