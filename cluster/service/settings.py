"""What a service was asked to be: the folder of its studies, where they run, and what it may run."""

import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from vcm_sweep.cluster.options import Place
from vcm_sweep.sweep.errors import StoreError, StudyError
from vcm_sweep.sweep.folder import Folder

MAX_STUDY = 1_000_000
"""Characters of a study's text, at most."""

MAX_BODY = 16_000_000
"""Bytes of a request, at most."""

MAX_FIELDS = 5000
"""Fields of a form, at most: one for each field of a study's text."""

MAX_MEASURED = 10_000_000
"""Bytes of a measured file, at most."""

MAX_NOTE = 2_000
"""Characters of a note, at most."""


@dataclass(frozen=True)
class ServiceSettings:
    """What ``vcm-sweep serve`` was asked for.

    Attributes:
        root: the folder of results folders; made if it is missing.
        place: where studies run. With an address they are submitted to that Ray cluster, else they run on this machine.
        prefix: of all paths, where a proxy gives the service a part of its own: "/sweeps"; else "".
        allow_code: the folder whose modules, weights, cells and tables studies may name; None: they may name none.
        session_s: seconds after which who has logged in must do so again.
        program: how the command line is called, by which studies are run and planned.

    Raises:
        StudyError: a prefix that is none, or a folder of code that is not there.
        StoreError: the root is no folder on this machine, or cannot be made.
    """

    root: Path
    place: Place = field(default_factory=Place)
    prefix: str = ""
    allow_code: Path | None = None
    session_s: float = 12 * 3600.0
    program: tuple[str, ...] = (sys.executable, "-P", "-m", "vcm_sweep.cluster.cli")

    @classmethod
    def of(
        cls,
        root: "str | os.PathLike[str]",
        place: Place | None = None,
        prefix: str = "",
        allow_code: Path | None = None,
        session_s: float = 12 * 3600.0,
    ) -> "ServiceSettings":
        """The settings, checked; folders that are missing are made."""
        if "://" in str(root):
            raise StoreError(
                f"--root {root} is in an object store, where the service cannot keep its tokens and locks: give a "
                "folder on this machine, as one that is mounted from there"
            )
        if prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix):
            raise StudyError(f"--prefix {prefix!r} must be a path such as /sweeps, with no slash at its end")
        if allow_code is not None and not allow_code.is_dir():
            raise StudyError(f"--allow-code {allow_code} is no folder: give the one that holds the modules")
        code = allow_code.resolve() if allow_code else None
        place = place or Place()
        if place.data_dir is not None:
            place = replace(place, data_dir=Path(place.data_dir).resolve())
        made = cls(Path(root).resolve(), place, prefix, code, session_s)
        try:
            for folder in (made.home, made.runs, made.keys, made.cells, made.working):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"--root {root} cannot be written ({error.strerror}): give a folder that you may write"
            ) from None
        return made

    def folder(self, study: str) -> Folder:
        """The results folder of a study, in which no link is followed: others than its owner may read here."""
        return Folder(self.root / study, links=False)

    @property
    def home(self) -> Path:
        """The service's own files, beside the studies: tokens, locks, the record of changes."""
        return self.root / ".vcm-sweep"

    @property
    def runs(self) -> Path:
        """A lock and the printed lines of each study's run."""
        return self.home / "runs"

    @property
    def keys(self) -> Path:
        """A file per idempotency key, with the study that was started by it."""
        return self.home / "keys"

    @property
    def library(self) -> Path:
        """What studies may name of the service's own, by the path from here."""
        return self.home / "library"

    @property
    def cells(self) -> Path:
        """The cells that were fitted here, a folder each."""
        return self.library / "cells"

    @property
    def working(self) -> Path:
        """The working directory of service and runs: that of the modules and files that a study may name, or empty."""
        return self.allow_code or self.home / "empty"
