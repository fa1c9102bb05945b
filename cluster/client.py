"""`Client`: a service of studies, asked from Python or from the command line."""

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from vcm_sweep.cluster.terminal.waiting import bar
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.errors import ExecutorError, StoreError, StudyError, one_line, without_credentials
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.copies import begin_copy, end_copy
from vcm_sweep.sweep.store.frozen import reported
from vcm_sweep.sweep.study.study import Study

if TYPE_CHECKING:
    import requests

TOKEN_VARIABLE = "VCM_SWEEP_TOKEN"
"""The variable in which a token is looked for that is not given."""

_TIMEOUT_S = 60.0
# A plan trains a pilot, and a ranking may have to wait for others.
_LONG_S = 1800.0
_ATTEMPTS, _WAIT_S = 5, 1.0
OPEN = ("submitted", "running", "disk full")
"""States of a run that is not over."""


class _MissingError(StoreError):
    """There is no such study, or file of one."""


_ERRORS: dict[int, type[VcmSweepError]] = {404: _MissingError, 409: StoreError, 413: StudyError, 422: StudyError}


class Client:
    """A service of studies.

    Args:
        address: of the service, with the path that a proxy gives it: ``http://127.0.0.1:8470``.
        token: that the service knows; by default the one in the variable VCM_SWEEP_TOKEN.

    Whatever the service refuses is raised with its sentence: StudyError for a study, StoreError for a folder or a run,
    ExecutorError for the rest, as a service that does not answer.

    Example:
        >>> Client("127.0.0.1:8470", "a-token-of-16-letters")
        Traceback (most recent call last):
        ...
        vcm_sweep.sweep.errors.StudyError: '127.0.0.1:8470' must be the address of a service, http://127.0.0.1:8470
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        import requests

        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", address):
            raise StudyError(
                f"{without_credentials(address)!r} must be the address of a service, http://127.0.0.1:8470"
            )
        self.address = address.rstrip("/")
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        # A token from a file ends with a newline.
        found = (os.environ.get(TOKEN_VARIABLE, "") if token is None else token).strip()
        if not re.fullmatch(r"[!-~]*", found):
            raise StudyError(f"the token ({TOKEN_VARIABLE}) has characters that no token has: copy it anew")
        if found:
            self._session.auth = _bearer(found)

    def studies(self, state: str = "", search: str = "") -> list[dict[str, Any]]:
        """The cards of all studies, or of those in a state, or with a text in id or note."""
        return list(self.plain("GET", "studies", params={"state": state, "search": search}))

    def study(self, id: str) -> "RemoteStudy":
        """A study by the name of its folder; StoreError where there is none."""
        found = RemoteStudy(self, id)
        found.card()
        return found

    def submit(self, study: Study | str | Path, note: str = "") -> "RemoteStudy":
        """Start a study, or watch it where it runs already. If the line breaks it is sent again, and started once.

        Args:
            study: the study, the path of its file, or its text. note: on it, for people.
        """
        sent = {"study": _text(study), "note": note}
        answer = self.plain("POST", "studies", json=sent, headers={"Idempotency-Key": uuid.uuid4().hex})
        return RemoteStudy(self, str(answer["study"]))

    def plan(self, study: Study | str | Path, pilot_s: float = 20.0) -> dict[str, Any]:
        """What ``vcm-sweep plan --json`` prints of a study: its size and cost, measured where the service runs."""
        asked = {"json": {"study": _text(study)}, "params": {"pilot_s": pilot_s}, "timeout": _LONG_S}
        return dict(self.plain("POST", "plan", **asked))

    def cells(self) -> list[dict[str, Any]]:
        """The cells of the service: those that were fitted there, the latest first, and those of the library."""
        return list(self.plain("GET", "cells"))

    def cell(self, name: str) -> dict[str, Any]:
        """One cell: its parameters, where they hold, and what its fit has said; StoreError where there is none."""
        return dict(self.plain("GET", f"cells/{quote(name, safe='')}"))

    def fit(self, name: str, measured: str | Path, fit: str, **options: Any) -> dict[str, Any]:
        """Fit a new cell to a measured file, and return its card; `cell` says when the fit has ended, and how.

        Args:
            name: of the new cell. measured: path of the file. fit: parameters, with commas between, as "r,dW_A".
            options: more of ``vcm-sweep device fit``, as ``cell``, ``model`` or ``ramp``.
        """
        # As bytes: what is sent once more, since the service was busy, would find an open file at its end.
        file = Path(measured).name, Path(measured).read_bytes()
        sent = {"data": {"name": name, "fit": fit} | options, "files": {"data": file}}
        return dict(self.plain("POST", "cells", **sent))

    def stop_fit(self, name: str) -> None:
        """End the fit of a cell; StoreError where none is under way."""
        self.ask("POST", f"cells/{quote(name, safe='')}/stop")

    def searches(self) -> list[dict[str, Any]]:
        """The cards of all searches for tolerances, the latest first."""
        return list(self.plain("GET", "tolerances"))

    def plain(self, method: str, path: str, **options: Any) -> Any:
        """The values of the JSON that :meth:`ask` answers with; ExecutorError for what is none, as a page to log in."""
        answer = self.ask(method, path, **options)
        try:
            return answer.json()
        except ValueError:
            raise ExecutorError(f"{answer.url} answered with no JSON: is this the address of a service?") from None

    def ask(self, method: str, path: str, **options: Any) -> "requests.Response":
        """The answer to a request below ``/api/``; where that can do no harm, a line that breaks is tried again.

        What is still being made when the service answers is asked for until the timeout.
        """
        until = time.monotonic() + options.setdefault("timeout", _TIMEOUT_S)
        answer = self._answer(method, path, **options)
        while "Retry-After" in answer.headers and answer.status_code == 503 and time.monotonic() < until:
            time.sleep(_WAIT_S)
            answer = self._answer(method, path, **options)
        if answer.ok:
            return answer
        raise _ERRORS.get(answer.status_code, ExecutorError)(_sentence(answer))

    def _answer(self, method: str, path: str, **options: Any) -> "requests.Response":
        import requests

        # What changes something and has no key might be done twice.
        attempts = _ATTEMPTS if method == "GET" or "headers" in options else 1
        while True:
            try:
                return self._session.request(method, f"{self.address}/api/{path}", **options)
            except requests.RequestException as error:
                attempts -= 1
                if not attempts or not isinstance(error, _broken_lines()):
                    raise ExecutorError(
                        f"the service at {self.address} does not answer ({one_line(error)[:120]}): is it up, and is "
                        "this its address?"
                    ) from None
                time.sleep(_WAIT_S)


class RemoteStudy:
    """A study of a service.

    Args:
        client: by which it is asked. id: the name of its folder.
    """

    def __init__(self, client: Client, id: str) -> None:
        self._client, self.id = client, id

    def __repr__(self) -> str:
        return f"RemoteStudy({self._client.address}/studies/{self.id})"

    def card(self) -> dict[str, Any]:
        """Its line in the list: state, done, planned, failed, best, and more."""
        return dict(self._plain("card"))

    def view(self) -> dict[str, Any]:
        """All that its page shows: counts by status, factors, the latest run with failures by cause and nodes."""
        return dict(self._plain(""))

    @property
    def state(self) -> str:
        """The state of its latest run: running, done, stopped, ..."""
        return str(self.card()["state"])

    def wait(self, progress: bool = True, interval_s: float = 2.0) -> str:
        """The state in which its run ends, once it does: done, stopped, failed, or "silent" where it is not heard of.

        Args:
            progress: show a bar on the terminal. interval_s: seconds between two looks.
        """
        card, shown = self.card(), 0
        while card["state"] in OPEN and not card["planned"]:
            time.sleep(interval_s)
            card = self.card()
        with bar(self.id, card["planned"] or 0, quiet=not progress) as step:
            while True:
                for _ in range(shown, card["done"] or 0):
                    step(card["state"])
                shown = max(shown, card["done"] or 0)
                if card["state"] not in OPEN:
                    return str(card["state"])
                time.sleep(interval_s)
                card = self.card()

    def stop(self) -> None:
        """Ask its run to stop, as Ctrl-C would."""
        self._post("stop")

    def resume(self) -> None:
        """Go on with it."""
        self._post("resume")

    def retry(self, only: Sequence[str] = ()) -> None:
        """Run trials that failed once more; ``only``: of these statuses."""
        self._post("retry", {"only": list(only)})

    def extend(
        self, to: int | None = None, replicates: int | None = None, replicate_rows: int | None = None
    ) -> dict[str, Any]:
        """Make it longer, and run what is new; arguments as :func:`vcm_sweep.sweep.extend`."""
        return self._post("extend", {"to": to, "replicates": replicates, "replicate_rows": replicate_rows})

    def search(self, **question: Any) -> None:
        """Search its tolerances, or go on with that.

        ``question``, ``target``, ``drop``, ``against``, ``trials``: in place of those of its [tolerance] table.
        """
        self._post("tolerance", question)

    def tolerances(self) -> dict[str, Any]:
        """Its search for tolerances: its card, the answers with their front, and the best points so far."""
        return dict(self._plain("tolerance"))

    def stop_search(self) -> None:
        """Ask its search to stop, as Ctrl-C would."""
        self._post("tolerance/stop")

    def note(self, text: str) -> None:
        """Write a note on it, in place of the one before."""
        self._client.ask("PUT", self._path("note"), json={"note": text})

    def log(self, lines: int = 100) -> list[dict[str, Any]]:
        """The last lines of the log of its latest run."""
        return list(self._plain("log", lines=lines))

    def ranking(self, metric: str = "accuracy", method: str = "", policy: str = "") -> dict[str, Any]:
        """Its ranking as it forms, with intervals: what ``vcm-sweep analyze --json`` prints."""
        return dict(self._plain("ranking", metric=metric, method=method, policy=policy))

    def table(self) -> pa.Table:
        """All records so far, one per training; ``.to_pandas()`` makes a data frame of it."""
        return pq.read_table(pa.BufferReader(self._get("records").content))

    def fetch(self, local: str | Path, progress: bool = True) -> int:
        """Copy its results folder to this machine, for ``open_results``; returns the number of files that were copied.

        Records that are there already are kept. Those files that say which records count come last.

        Raises:
            StoreError: ``local`` is the folder of something else.
        """
        target = Folder(local)
        for _ in range(_ATTEMPTS):
            names = {str(own["path"]): int(own["size"]) for own in self._plain("files")}
            try:
                with reported(target, "written"):
                    return self._copy_all(names, target, progress)
            except _MissingError:
                # The folder was compacted in the meantime: the records that were listed are in another file now.
                continue
        raise StoreError(f"{self!r} changes faster than it can be copied: wait until it is compacted, and run it again")

    def _copy_all(self, names: Mapping[str, int], target: Folder, progress: bool) -> int:
        if outside := [name for name in names if ".." in Path(name).parts or Path(name).is_absolute()]:
            raise StoreError(f"{self!r} has a file {outside[0]!r}, which would not be in {target}: nothing is copied")
        begin_copy(lambda name: self._file(name) if name in names else None, target)
        copied, sizes = 0, target.sizes("parts")
        with bar("fetch", len(names), quiet=not progress) as step:
            for name in sorted(names, key=lambda name: (not name.endswith(".parquet"), name)):
                if not name.startswith("parts/") or sizes.get(name.removeprefix("parts/")) != names[name]:
                    (Path(target.path) / name).parent.mkdir(parents=True, exist_ok=True)
                    target.write(name, self._file(name))
                    copied += 1
                step(name)
        end_copy(target)
        return copied

    def _file(self, name: str) -> bytes:
        return self._get(f"files/{quote(name)}").content

    def _path(self, path: str) -> str:
        return f"studies/{quote(self.id, safe='')}/{path}".rstrip("/")

    def _plain(self, path: str, **params: Any) -> Any:
        return self._client.plain("GET", self._path(path), params=params, timeout=_LONG_S)

    def _get(self, path: str, **params: Any) -> "requests.Response":
        return self._client.ask("GET", self._path(path), params=params, timeout=_LONG_S)

    def _post(self, path: str, sent: dict[str, Any] | None = None) -> dict[str, Any]:
        return dict(self._client.plain("POST", self._path(path), json=sent))


def remote_study(where: str) -> RemoteStudy | None:
    """The study that an address names, as its page has it: ``http://host:8470/studies/ID``; None for a folder.

    >>> remote_study("runs/demo-1a2b3c4d") is None
    True
    """
    if not where.startswith(("http://", "https://")):
        return None
    address, _, id = where.rstrip("/").rpartition("/studies/")
    if not address or "/" in id:
        shown = without_credentials(where)
        raise StoreError(f"{shown} must be the page of a study, such as http://127.0.0.1:8470/studies/demo-1a2b3c4d")
    return RemoteStudy(Client(address), id)


def _text(study: Study | str | Path) -> str:
    """The text of a study; its file's, where a path is given."""
    if isinstance(study, Study):
        return study.text
    if isinstance(study, str) and "\n" in study:
        return study
    return Study.from_toml(study).text


def _broken_lines() -> tuple[type[Exception], ...]:
    """Errors after which it is worth to ask again: no answer, or half of one."""
    import requests

    return requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError


def _bearer(token: str) -> "Callable[[requests.PreparedRequest], requests.PreparedRequest]":
    """Shows a token with each request; a header alone would give way to what a .netrc has for this host."""

    def shown(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return shown


def _sentence(answer: "requests.Response") -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.url} answered {answer.status_code}: is this the address of a service?"
