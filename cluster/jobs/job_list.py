"""The list of ``vcm-sweep jobs``: the studies in a folder of results folders, and what each is doing."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vcm_sweep.cluster.terminal.printing import aligned
from vcm_sweep.cluster.terminal.words import duration
from vcm_sweep.sweep.errors import StoreError, one_line
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.foreign import printable
from vcm_sweep.sweep.session.state import SessionState, age_s, latest_session, silent_sessions, waits_for_disk

_ASKED_AT_ONCE = 16


@dataclass(frozen=True)
class ListedJob:
    """A results folder and its latest run.

    Attributes:
        silent: its state is running, but nothing is heard of it any more. waits: it lives, and its disk is full.
    """

    folder: str
    session: SessionState | None
    silent: bool = False
    waits: bool = False

    @property
    def state(self) -> str:
        """The state in a word or two."""
        if self.silent or self.waits:
            return "silent" if self.silent else "disk full"
        return self.session.state if self.session else "no run noted"

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        session = dataclasses.asdict(self.session) if self.session else None
        return {"folder": self.folder, "state": self.state, "session": session}


def job_list(root: str) -> list[ListedJob]:
    """The results folders in a folder, or the folder itself if it is one; StoreError where it cannot be read."""
    folder = Folder(root)
    try:
        # An object store has no folders, so a missing one cannot be told from an empty one there.
        if folder.local is not None and not folder.exists():
            raise StoreError(f"{root} is not there: give the folder that holds results folders")
        candidates = [folder] if folder.exists("study.toml") else [folder / name for name in folder.folders()]
        # In parallel, because an object store takes some hundredths of a second for each question.
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            holds = list(pool.map(lambda f: f.exists("study.toml"), candidates))
            studies = [f for f, study in zip(candidates, holds, strict=True) if study]
            found = list(zip(studies, pool.map(latest_session, studies), strict=True))
    except OSError as error:
        raise StoreError(f"{root} cannot be read ({one_line(error)}): is it the right place?") from None
    quiet = silent_sessions([(f, session) for f, session in found if session is not None])
    return [
        ListedJob(str(f), None)
        if session is None
        else ListedJob(str(f), session, session.id in quiet, session.id not in quiet and waits_for_disk(f, session))
        for f, session in found
    ]


def job_table(jobs: list[ListedJob], root: str) -> str:
    """A line per study, and below how to continue silent runs, and why runs failed."""
    if not jobs:
        return f"no results folders in {root}"
    rows = [("folder", "state", "done", "failed", "left", "last seen (UTC)", "on")]
    for job in jobs:
        s = job.session
        if s is None:
            rows.append((job.folder, job.state, "", "", "", "", ""))
            continue
        f = s.figures
        done = f"{f.done:,}/{f.total:,}" if f.total else "-"
        left = duration(f.eta_s) if job.state == "running" else "-"
        rows.append((job.folder, job.state, done, f"{f.failed:,}", left, seen_words(s), s.host or "-"))
    lines = [aligned(rows)]
    lines += [f"{job.folder}: nothing is heard of this run any more; to go on: {job.session.command}"
              for job in jobs if job.silent and job.session]  # fmt: skip
    lines += [f"{job.folder}: {job.session.reason}" for job in jobs if job.session and job.session.reason]
    return "\n".join(lines[:1] + [printable(line) for line in lines[1:]])


def seen_words(session: SessionState) -> str:
    """When a run was last heard of, by its own clock, and how long ago that is by this machine's clock."""
    age = age_s(session.seen)
    return session.seen[:19].replace("T", " ") + (f" ({duration(round(age))} ago)" if 0 <= age < float("inf") else "")
