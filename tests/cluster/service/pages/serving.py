"""A service that listens, for tests of its pages in a browser."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from vcm_sweep.cluster.options import Place
from vcm_sweep.cluster.service.app import make_app
from vcm_sweep.cluster.service.service import Service
from vcm_sweep.cluster.service.settings import ServiceSettings

from ..waiting import until


@dataclass(frozen=True)
class Serving:
    """A service, and where it listens."""

    service: Service
    url: str

    def token(self, role: str = "run") -> str:
        """The text of a token."""
        found = self.service.tokens.named(role)
        assert found is not None
        return found.token


@contextmanager
def serving(root: Path, prefix: str = "") -> Iterator[Serving]:
    """Serve a folder on a free port of this machine; its studies are trained in the process of their run."""
    service = Service.of(ServiceSettings.of(root, Place(in_process=True), prefix))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(make_app(service), log_config=None, access_log=False, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield Serving(service, f"http://127.0.0.1:{listening.getsockname()[1]}{prefix}")
        finally:
            server.should_exit = True
            thread.join(10)


def log_in(browser: Any, at: Serving, role: str = "run") -> None:
    """Log a browser in, as a person does, and wait for the page behind: asked for another before, it may show that."""
    browser.get(f"{at.url}/login")
    browser.find_element("id", "token").send_keys(at.token(role))
    browser.find_element("css selector", "main button").click()
    until(lambda: "/login" not in browser.current_url)
