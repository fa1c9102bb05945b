"""``vcm-sweep serve``: studies in a browser and over HTTP."""

import argparse
import ipaddress
import logging
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from vcm_sweep.cluster.commands.shared import AddCommand
from vcm_sweep.cluster.options import RunOptions, add_place_options, positive
from vcm_sweep.cluster.terminal.printing import show

_MOST_AT_ONCE = 2000


def add_serve_command(command: AddCommand) -> None:
    """Add the subcommand that serves a folder of results folders."""
    sub = command("serve", _serve, "serve a folder of studies to browsers and programs")
    sub.add_argument("--root", required=True, help="folder of results folders; made if it is missing")
    sub.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine alone)")
    sub.add_argument("--port", type=_port, default=8470, help="port to listen on (8470; 0: a free one)")
    sub.add_argument(
        "--behind-proxy", nargs="?", const="127.0.0.1", metavar="FROM",
        help="believe X-Forwarded-For and -Proto of a proxy at this address (127.0.0.1; *: of whoever connects)",
    )  # fmt: skip
    sub.add_argument("--prefix", default="", metavar="/PATH", help="path that a proxy serves it under")
    sub.add_argument(
        "--allow-code", type=Path, metavar="FOLDER", help="let studies name modules and files of this folder"
    )
    sub.add_argument("--session-hours", type=positive, default=12, metavar="H", help="hours that a log-in lasts (12)")
    add_place_options(sub)


def _serve(arguments: argparse.Namespace) -> int:
    from vcm_sweep.cluster.service.settings import ServiceSettings
    from vcm_sweep.sweep.data.sets import DATA_VARIABLE

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    settings = ServiceSettings.of(
        arguments.root,
        RunOptions.of(arguments).place,
        arguments.prefix,
        arguments.allow_code,
        3600.0 * arguments.session_hours,
    )
    _allow_files(_MOST_AT_ONCE)
    listening = _listening(arguments.host, arguments.port)
    # What a study names is looked for from the working directory: in the folder that it may name, or in an empty one.
    if data := os.environ.get(DATA_VARIABLE):
        os.environ[DATA_VARIABLE] = os.path.abspath(data)
    os.chdir(settings.working)
    import uvicorn

    from vcm_sweep.cluster.service.app import make_app
    from vcm_sweep.cluster.service.service import Service

    service = Service.of(settings)
    service.catalogue.warm()
    host, port = listening.getsockname()[:2]
    shown: dict[str, Any] = {
        "service": f"http://{f'[{host}]' if ':' in host else host}:{port}{settings.prefix}/",
        "root": str(settings.root),
        "runs": f"on the Ray cluster at {settings.place.address}" if settings.place.address else "on this machine",
        "tokens": str(settings.home / "tokens.json"),
    }
    for token in service.tokens.fresh:
        shown[f"token_{token.role}"] = f"{token.token} (shown this once)"
    show(shown, arguments.json)
    sys.stdout.flush()
    if not ipaddress.ip_address(host).is_loopback:
        print(
            "vcm-sweep: beware: tokens travel as plain text from other machines: put a proxy with TLS before it "
            "(docs/service.md)",
            file=sys.stderr,
        )
    config = uvicorn.Config(
        make_app(service),
        log_config=None,
        # Otherwise any process of this machine could say that it is somebody else, and be counted as that.
        proxy_headers=arguments.behind_proxy is not None,
        forwarded_allow_ips=arguments.behind_proxy,
        access_log=False,
        timeout_graceful_shutdown=3,
        server_header=False,
        backlog=64,
        limit_concurrency=_MOST_AT_ONCE,
    )

    class Server(uvicorn.Server):
        """Ends what pages watch before it waits for its answers to end."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            service.events.end()
            super().handle_exit(sig, frame)

    with suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listening])
    print("vcm-sweep: no longer served; runs go on, and are there when it is served again", file=sys.stderr)
    return 0


def _allow_files(connections: int) -> None:
    """Let the process have a file for each connection, and some more, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted if hard < 0 else min(wanted, hard)), hard))


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; StudyError where it cannot."""
    from vcm_sweep.sweep.errors import StudyError

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise StudyError(
            f"--host {host} --port {port} cannot be listened on ({error.strerror}): give an address of this machine, "
            "and a port that nobody has"
        ) from None


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 0 to 65535")
    return port
