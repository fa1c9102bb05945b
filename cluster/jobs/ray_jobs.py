"""`RayJobs`: a running Ray cluster over HTTP, to start jobs there and ask what became of them."""

import os
import re
import shlex
import time
from pathlib import Path
from typing import Any

from vcm_sweep.sweep.errors import ExecutorError, one_line

OLDEST_RAY = (2, 60)
_TOKEN_HELP = (
    "put the cluster's token (on its head: ray get-auth-token) into ~/.ray/auth_token, or name its file in "
    "RAY_AUTH_TOKEN_PATH; see docs/cluster.md"
)
_WORKER_COMMAND = "--python_worker_command="
_TIMEOUT_S = 20.0
_SETTLES_S = 10.0  # after a head's start


class RayJobs:
    """The job interface of a cluster's head.

    Args:
        address: of the dashboard, ``http://head:8265``.

    Raises:
        ExecutorError: the head does not answer, the token is missing or wrong, or its Ray is too old.
    """

    def __init__(self, address: str) -> None:
        if not re.fullmatch(r"https?://[^\s/@]+/?", address):
            # A password may stand before an @, and must not get into messages, which end up in logs.
            shown = address.rpartition("@")[2]
            raise ExecutorError(
                f"--address {shown} must be the dashboard of a running Ray cluster, such as http://head:8265; "
                "HOST:6379 and auto are for run"
            )
        self.address = address.rstrip("/")
        _show_token()
        # Ray would silently prefer either of these variables to the address that was given.
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            os.environ.pop(name, None)
        self._client = self._asked(self._connect)
        version = self._get("/api/version").get("ray_version", "")
        self.ray_version = str(version)
        numbers = tuple(int(n) for n in re.findall(r"\d+", self.ray_version)[:2])
        if numbers < OLDEST_RAY:
            raise ExecutorError(
                f"the cluster at {self.address} runs Ray {version}: vcm-sweep needs 2.60 or later there"
            )

    def open_to_anybody(self) -> bool:
        """Whether the cluster takes jobs without a token."""
        import requests

        try:
            return bool(requests.get(f"{self.address}/api/jobs/", timeout=_TIMEOUT_S).status_code == 200)
        except requests.RequestException:
            return False

    def interpreter(self) -> str | None:
        """The Python that the cluster's workers use, None where the head does not tell.

        The command ``python`` of a job is the first one on PATH, which need not be that of the environment that runs
        Ray. A head that has just started knows its nodes some seconds later, so it is asked for a while.
        """
        until = time.monotonic() + _SETTLES_S
        while (found := self._interpreter()) is None and time.monotonic() < until:
            time.sleep(0.5)
        return found

    def _interpreter(self) -> str | None:
        nodes = self._get("/nodes?view=summary").get("data", {}).get("summary", [])
        heads = [node for node in nodes if (node.get("raylet") or {}).get("isHeadNode")]
        for node in [*heads, *nodes]:
            for argument in node.get("cmdline") or []:
                if isinstance(argument, str) and argument.startswith(_WORKER_COMMAND):
                    words = argument.removeprefix(_WORKER_COMMAND).split()
                    if words and Path(words[0]).name.startswith("python"):
                        return words[0]
        return None

    def submit(self, command: list[str], modules: list[Path], variables: dict[str, str], name: str) -> str:
        """Start a job, and return its id.

        Args:
            command: words of fixed text. Ray gives them to a shell, so they must hold nothing that a user wrote.
            modules: folders that driver and workers can import. variables: of their environment. name: becomes the id.
        """
        environment = {"py_modules": [str(module) for module in modules], "env_vars": variables}
        return str(
            self._asked(
                lambda: self._client.submit_job(
                    entrypoint=shlex.join(command), runtime_env=environment, submission_id=name
                )
            )
        )

    def status(self, job: str) -> tuple[str, str]:
        """(status, message) of a job, in Ray's words; ("UNKNOWN", ...) for a job that this head does not know."""
        try:
            info = self._client.get_job_info(job)
        except RuntimeError as error:
            return "UNKNOWN", one_line(error)
        return str(getattr(info.status, "value", info.status)), str(info.message or "")

    def _connect(self) -> Any:
        import logging

        from ray.job_submission import JobSubmissionClient

        # These loggers set their level when they are imported, so it is set again here.
        for name in ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
            logging.getLogger(name).setLevel(logging.WARNING)

        class Client(JobSubmissionClient):
            """Waits no longer for a head that takes a connection and says nothing."""

            def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
                return super()._do_request(method, endpoint, **{"timeout": _TIMEOUT_S} | options)

        return Client(self.address)

    def _get(self, path: str) -> dict[str, Any]:
        """The JSON with which the dashboard answers."""
        response = self._asked(lambda: self._client._do_request("GET", path))
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ExecutorError(f"{self.address} does not answer as a Ray dashboard: give that of the head, port 8265")
        return answer

    def _asked(self, ask: Any) -> Any:
        import ray
        import requests

        try:
            return ask()
        except ray.exceptions.AuthenticationError as error:
            word = (
                "refused the token of this machine"
                if "403" in str(error) or "Forbidden" in str(error)
                else ("wants a token, and this machine has none")
            )
            raise ExecutorError(f"the cluster at {self.address} {word}: {_TOKEN_HELP}") from None
        except (ConnectionError, requests.RequestException, RuntimeError, ValueError) as error:
            raise ExecutorError(
                f"the cluster at {self.address} does not do it ({one_line(error)[:200]}): is its head up, and is this "
                "the address of its dashboard?"
            ) from None


def _show_token() -> None:
    """Make Ray's client send this machine's token, if there is one, which it does not do by default."""
    there = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    if "RAY_AUTH_MODE" not in os.environ and (there or (Path.home() / ".ray" / "auth_token").is_file()):
        os.environ["RAY_AUTH_MODE"] = "token"
