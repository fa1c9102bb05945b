"""Sending a study to a running Ray cluster, where job_driver.py runs it."""

import os
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vcm_sweep.cluster.jobs.ray_jobs import RayJobs
from vcm_sweep.cluster.jobs.shipping import check_size, own_modules, pack_code, pack_job
from vcm_sweep.cluster.options import RunOptions, in_words
from vcm_sweep.sweep.designs.build import checked_design
from vcm_sweep.sweep.errors import StoreError, StudyError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import utc_now
from vcm_sweep.sweep.session.state import (
    SessionState,
    close_dead_runs,
    latest_session,
    new_id,
    silent_sessions,
    write_state,
)
from vcm_sweep.sweep.store import Store
from vcm_sweep.sweep.study.study import Study

# Variables that say where the object store is, passed on because both sides must agree on it. Credentials are not: each
# machine has its own.
_PASSED_ON = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted study: Ray's id of the job, the session's id, the results folder, megabytes sent, and warnings."""

    id: str
    session: str
    folder: str
    megabytes: float
    warnings: list[str] = field(default_factory=list)


def submit(
    study_file: Path,
    options: RunOptions,
    root: str | None = None,
    python: str | None = None,
    take: Sequence[Path] = (),
) -> SubmittedJob:
    """Start a study on a cluster; returns when the job is accepted.

    Args:
        study_file: TOML.
        options: of the run. The address of its place is that of the head's dashboard. Its results folder must be
            reachable from here and from the cluster.
        root: the results folder is made in this folder, where the options name none.
        python: interpreter on the cluster; default: that of its workers.
        take: files to take along, besides those that are found.

    Raises:
        StudyError: a mistake in the study, or files that cannot be sent. StoreError: the folder holds another study,
            or a run is under way. ExecutorError: the cluster cannot be used.
    """
    address, out = str(options.place.address), options.out
    if not (out or root):
        raise StudyError("--out is empty: give a folder that this machine and the cluster can reach, or --root")
    study = Study.from_toml(study_file)
    checked_design(study)
    where = out or str(Folder(str(root)) / study.folder_name)
    if "://" not in where:
        where = str(Path(where).resolve())
    folder = Folder(where)
    with tempfile.TemporaryDirectory(prefix="vcm-sweep-submit-") as scratch:
        # Everything above may fail: it comes before anything is written or sent.
        session = new_id()
        # The address is left out: the driver finds its cluster by itself.
        words = [*in_words(replace(options.place, address=None)), *(["--no-report"] if options.no_report else []),
                 *(["--retry"] if options.retry else [])]  # fmt: skip
        command = shlex.join(["vcm-sweep", "submit", str(study_file), "--address", address, "--out", where, *words])
        job = {"out": where, "session": session, "command": command, "options": words}
        own = [*_own_files(study), *take]
        modules = [pack_code(Path(scratch)), pack_job(Path(scratch), study_file, study.text, job, own)]
        megabytes = sum(check_size(module) for module in modules)
        cluster = RayJobs(address)
        found = python or cluster.interpreter()
        place: Any = folder.local or where
        Store.create(study, place)
        _refuse_a_second_run(folder, cluster)
        close_dead_runs(folder, session)
        state = SessionState(session, state="submitted", command=command, started=utc_now(), seen=utc_now())
        name = f"vcm-sweep-{study.name}-{session}"
        state = replace(state, job={"address": cluster.address, "id": name})
        write_state(folder, state)
        variables = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
        # -P: do not import from the folder in which Ray happens to start the driver.
        entry = [found or "python3", "-P", "-m", "vcm_sweep.cluster.job_driver"]
        try:
            cluster.submit(entry, modules, variables, name)
        except BaseException:
            write_state(folder, replace(state, state="failed", reason="the cluster did not take the job"))
            raise
    return SubmittedJob(name, session, where, round(megabytes, 2), _warnings(cluster, where, found))


def _own_files(study: Study) -> list[Path]:
    """The files in the current directory that the study uses: modules, first weights."""
    start = study.network.start
    # A file with an absolute path must be on the cluster itself.
    return [*own_modules(), *([Path(start)] if start and not os.path.isabs(start) else [])]


def _refuse_a_second_run(folder: Folder, cluster: RayJobs) -> None:
    session = latest_session(folder)
    if session is None or not session.open:
        return
    if session.state == "running":
        under_way = not silent_sessions([(folder, session)])
    else:
        under_way = cluster.status(session.job.get("id", ""))[0] in ("PENDING", "RUNNING")
    if under_way:
        where = session.host or cluster.address
        raise StoreError(
            f"{folder}: a run is under way ({session.id}, on {where}): watch it with vcm-sweep status --watch, or stop "
            "it first"
        )


def _warnings(cluster: RayJobs, where: str, python: str | None) -> list[str]:
    import ray

    warnings = []
    if cluster.open_to_anybody():
        warnings.append(
            f"note: {cluster.address} takes jobs from whoever reaches it, without a token: see docs/cluster.md"
        )
    if cluster.ray_version != ray.__version__:
        warnings.append(f"note: the cluster runs Ray {cluster.ray_version}, this machine {ray.__version__}")
    if python is None:
        warnings.append(
            "note: the head does not tell which Python its workers use, so python3 is used; or name --python"
        )
    if "://" not in where:
        warnings.append(f"note: {where} must be a folder that the cluster sees at the same path")
    return warnings
