"""What a run leaves behind about itself: state, log, stop request, on a disk and in an object store."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.session.log import SessionLog, read_log
from vcm_sweep.sweep.session.session import Session
from vcm_sweep.sweep.session.state import (
    SessionState,
    latest_session,
    mark_failed,
    read_sessions,
    request_stop,
    silent_sessions,
    waits_for_disk,
    write_state,
)
from vcm_sweep.sweep.session.tally import Tally
from vcm_sweep.sweep.training.interrupts import deferred_interrupts
from vcm_sweep.sweep.trial import TrialRecord


def record(number: int, status: str = "ok", reason: str = "", accuracy: float = 0.5) -> TrialRecord:
    return TrialRecord(f"{number:032x}", number, 0, {}, number, status, reason, accuracy, wall_s=1.5)


@pytest.fixture(params=["disk", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return Folder(tmp_path / "out")
    bucket: str = request.getfixturevalue("bucket")
    return Folder(f"{bucket}/{tmp_path.name}")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a real S3-speaking server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch = pytest.MonkeyPatch()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "an-access-key-id",
        "AWS_SECRET_ACCESS_KEY": "a-very-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="sessions")
    yield "s3://sessions"
    patch.undo()
    server.stop()


def test_a_run_says_what_it_does_and_how_it_ended(folder: Folder) -> None:
    with Session(folder, "vcm-sweep run x.toml") as session:
        assert read_sessions(folder) == [], "nothing is written before the run has the folder"
        session(2, 10, [])
        assert latest_session(folder).state == "running"  # type: ignore[union-attr]
        session(4, 10, [record(1), record(2, "error", "ValueError: no", float("nan"))])
        logging.getLogger("vcm_sweep").warning("a worker was lost", extra={"event": "worker lost", "node": "n1"})
    state = latest_session(folder)
    assert state is not None
    assert (state.state, state.figures.done, state.figures.total, state.figures.failed) == ("done", 4, 10, 1)
    assert state.figures.failures == {"error ValueError": 1}
    assert state.command == "vcm-sweep run x.toml"
    lines = [line for _, _, line in read_log(folder)]
    assert [line["event"] for line in lines] == ["started", "trial", "trial", "worker lost", "done"]
    trial = lines[2]
    assert (trial["status"], trial["reason"], trial["point"], trial["accuracy"]) == ("error", "ValueError: no", 2, None)
    assert (lines[3]["level"], lines[3]["node"]) == ("warning", "n1")
    assert not any(isinstance(h, logging.Handler) for h in logging.getLogger("vcm_sweep").handlers)


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt(), "interrupted"), (OSError(28, "No space left on device"), "failed")]
)
def test_a_run_that_ends_otherwise_says_so(tmp_path: Path, error: BaseException, state: str) -> None:
    def run() -> None:
        with Session(tmp_path) as session:
            session(0, 10, [])
            raise error

    with pytest.raises(type(error)):
        run()
    noted = latest_session(Folder(tmp_path))
    assert noted is not None
    assert noted.state == state
    assert ("No space" in noted.reason) == (state == "failed")


def test_a_stop_request_reaches_the_run_as_ctrl_c_within_seconds(folder: Folder) -> None:
    def run() -> None:
        with Session(folder) as session:
            session(0, 10, [])
            request_stop(folder, session.state.id)
            # A wait in C, as of a run that waits for its workers.
            threading.Event().wait(900)

    with pytest.raises(KeyboardInterrupt):
        run()
    state = latest_session(folder)
    assert state is not None
    assert state.state == "stopped"
    assert folder.names("sessions") == [f"{state.id}.json"], "the request is cleared: the next run goes on"
    assert "stop asked for" in [line["event"] for _, _, line in read_log(folder)]


STOPPABLE = """
import sys, threading, signal
from vcm_sweep.sweep.session.session import Session
print("up", flush=True)
try:
    with Session(sys.argv[1]) as session:
        session(0, 10, [])
        # What ray.init does to the process.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        session(0, 10, [])
        print("in", flush=True)
        threading.Event().wait(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("how", ["SIGTERM", "SIGHUP", "stop request"])
def test_a_process_that_was_started_deaf_to_ctrl_c_stops_too(tmp_path: Path, how: str) -> None:
    """Ray blocks SIGINT in drivers of jobs, shells ignore it in the background."""

    def deaf() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests under nohup has it ignored

    run = subprocess.Popen(
        [sys.executable, "-c", STOPPABLE, tmp_path], stdout=subprocess.PIPE, text=True, preexec_fn=deaf
    )
    assert run.stdout is not None
    while run.stdout.readline() != "in\n":
        assert run.poll() is None
    if how.startswith("SIG"):
        run.send_signal(getattr(signal, how))
    else:
        folder = Folder(tmp_path)
        state = latest_session(folder)
        assert state is not None
        request_stop(folder, state.id)
    assert run.stdout.read() == "interrupted\n"
    assert run.wait(20) == 0
    noted = latest_session(Folder(tmp_path))
    assert noted is not None
    assert noted.state == ("interrupted" if how.startswith("SIG") else "stopped")


def test_nohup_keeps_a_run_alive_when_its_terminal_is_gone(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Session(tmp_path):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, usual)


def test_a_run_whose_disk_is_full_is_heard_of_and_said_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcm_sweep.sweep.session.session._TICK_S", 0.1)
    monkeypatch.setattr("vcm_sweep.sweep.session.state._FRESH_S", 0.5)
    folder = Folder(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with Session(folder) as session:
        session(0, 8, [])
        state = latest_session(folder)
        assert state is not None
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "write", full)
            time.sleep(1.5)
            state = latest_session(folder)
            assert state is not None
            assert silent_sessions([(folder, state)]) == set()
            assert waits_for_disk(folder, state)
        time.sleep(0.5)
        state = latest_session(folder)
        assert state is not None
        assert not waits_for_disk(folder, state)


def test_a_run_whose_folder_is_deleted_is_stopped_and_writes_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcm_sweep.sweep.session.session._TICK_S", 0.1)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "study.toml").touch()
    with pytest.raises(KeyboardInterrupt), Session(tmp_path / "r") as session:  # noqa: PT012
        session(0, 8, [])
        shutil.rmtree(tmp_path / "r")
        time.sleep(20)
    assert not (tmp_path / "r").exists()


def test_a_killed_run_is_silent_and_a_living_one_is_not_whatever_the_clocks_say(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    # An hour behind, and an hour ahead: what a clock that jumped leaves.
    for number, seen in enumerate(("2020-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z")):
        write_state(folder, SessionState(f"dead-{number}", pid=1, seen=seen, tick_s=0.5))
    alive = SessionState("alive", seen="2020-01-01T00:00:00.000Z", tick_s=0.5)
    write_state(folder, alive)
    over = threading.Event()

    def live() -> None:
        beat = 0
        while not over.wait(0.3):
            beat += 1
            write_state(folder, SessionState("alive", seen=alive.seen, tick_s=0.5, beat=beat))

    thread = threading.Thread(target=live)
    thread.start()
    try:
        silent = silent_sessions([(folder, state) for state in read_sessions(folder)])
    finally:
        over.set()
        thread.join()
    assert silent == {"dead-0", "dead-1"}


def test_a_run_of_this_host_that_was_killed_is_silent_though_its_state_is_fresh(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    now = datetime.now(UTC).isoformat()
    for name, pid in (("killed", ended.pid), ("here", os.getpid())):
        write_state(folder, SessionState(name, socket.gethostname(), pid, seen=now, tick_s=0.2))
    assert silent_sessions([(folder, state) for state in read_sessions(folder)]) == {"killed"}


def test_a_run_that_takes_over_closes_what_was_killed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_state(folder, SessionState("20200101-000000-dead", seen="2020-01-01T00:00:00.000Z"))
    with Session(folder) as session:
        session(0, 1, [])
    killed, done = read_sessions(folder)
    assert (killed.state, killed.reason) == (
        "interrupted", f"it was not heard of any more when {session.state.id} took over"
    )  # fmt: skip
    assert latest_session(folder) == done


def test_a_killed_run_whose_clock_was_ahead_is_closed_too(tmp_path: Path) -> None:
    """Otherwise status, logs and stop would speak of that one for as long as its clock was ahead."""
    folder = Folder(tmp_path)
    write_state(folder, SessionState("29991231-235959-ffff", state="running"))
    write_state(folder, SessionState("29991231-235959-fffe", state="submitted"))
    with Session(folder) as session:
        session(0, 8, [])
        latest = latest_session(folder)
        assert latest is not None
        assert latest.id == session.state.id
    assert [state.state for state in read_sessions(folder)] == ["done", "submitted", "interrupted"]


def test_sigterm_waits_for_the_end_of_a_batch_as_ctrl_c_does(tmp_path: Path) -> None:
    """Batch systems end a run with it; a training in this process saves its state first."""
    with Session(tmp_path):
        with deferred_interrupts() as interrupted:
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_failure_before_the_run_is_noted_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_state(folder, SessionState("one", state="submitted"))
    mark_failed(folder, "one", "no data")
    mark_failed(folder, "one", "something else")
    state = latest_session(folder)
    assert state is not None
    assert (state.state, state.reason) == ("failed", "no data")


def test_a_submitted_run_keeps_what_its_submitter_noted(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_state(folder, SessionState("one", state="submitted", started="then", job={"id": "job-1"}))
    with Session(folder, id="one"):
        state = latest_session(folder)
        assert state is not None
        assert (state.state, state.started, state.job) == ("running", "then", {"id": "job-1"})


def test_no_secret_reaches_state_or_log(folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden = {
        "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY", "s3cr3t-of-the-store"),
        "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        "RAY_AUTH_TOKEN": "t0ken-of-the-cluster",
        "DB_PASSWORD": 'a "quoted\\" pässword',
        "WANDB_API_KEY": "0123456789abcdef",
        "PGPASSWD": "hunter2hunter2",
    }
    for name, value in hidden.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "token").write_text("another-t0ken-in-a-file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    text = "denied for " + " ".join([*hidden.values(), "another-t0ken-in-a-file"])

    def run() -> None:
        with Session(folder, command=f"run --x {text}") as session:
            session(0, 1, [record(1, "error", text)])
            logging.getLogger("vcm_sweep").info(text, extra={"event": "e", "header": text})
            raise RuntimeError(text)

    with pytest.raises(RuntimeError):
        run()
    written = b"".join(folder.read(f"{part}/{n}") for part in ("sessions", "logs") for n in folder.names(part))
    assert written.count(b"denied for *** *** *** *** *** *** ***") == 7
    values = [*hidden.values(), "another-t0ken-in-a-file"]
    assert not any(json.dumps(value)[1:-1].encode() in written for value in values)


def test_a_long_log_is_in_segments_and_is_read_on_where_one_stopped(folder: Folder) -> None:
    log = SessionLog(folder, "run", segment_bytes=2000)
    known: dict[str, int] = {}
    seen: list[int] = []
    for number in range(100):
        log.write("n", number=number)
        if number % 7 == 0:
            log.flush()
            for name, position, line in read_log(folder, "run", known):
                known[name] = position
                seen.append(line["number"])
    log.close()
    seen += [line["number"] for _, _, line in read_log(folder, "run", known)]
    assert seen == list(range(100))
    assert len(folder.names("logs")) > 3
    assert [line["number"] for _, _, line in read_log(folder)] == list(range(100))


def test_a_line_cut_by_a_kill_hides_nothing_else(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    log = SessionLog(folder, "run")
    log.write("one")
    log.close()
    (tmp_path / "logs" / "run-0001.jsonl").open("a").write('{"event": "cut')
    assert [line["event"] for _, _, line in read_log(folder)] == ["one"]


def test_a_folder_that_takes_nothing_more_does_not_end_the_run(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")
    (tmp_path / "logs").write_text("in the way")
    with Session(tmp_path) as session:
        session(1, 2, [record(1)])
        session(2, 2, [record(2)])
    assert session.figures.done == 2


def test_a_request_to_stop_that_comes_at_the_very_end_does_not_cut_the_end_short(tmp_path: Path) -> None:
    session = Session(tmp_path)
    held = threading.Event()

    def ask() -> None:
        with session._lock:
            held.set()
            time.sleep(0.3)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.1)

    asking = threading.Thread(target=ask)
    with session:
        session(8, 8, [])
        asking.start()
        held.wait()
    asking.join()
    assert [state.state for state in read_sessions(Folder(tmp_path))] == ["done"]


def test_the_rate_follows_the_recent_trials_and_is_unknown_at_the_start() -> None:
    now = 0.0
    tally = Tally(lambda: now)
    tally.take(100, 1000, [])
    assert tally.figures().eta_s is None
    now = 10.0
    tally.take(104, 1000, [record(n) for n in range(4)])
    assert tally.figures().rate_per_h is None, "one pack says nothing yet"
    done = 104
    for _ in range(120):  # 4 trials in 10 s
        now += 10
        done += 4
        tally.take(done, 1000, [record(n) for n in range(4)])
    figures = tally.figures()
    assert figures.rate_per_h == pytest.approx(1440, rel=0.02)
    assert figures.eta_s == pytest.approx((1000 - done) / 0.4, rel=0.02)
    now += 610
    # Nothing for ten minutes: the rate goes down, it does not stay where it was.
    assert (tally.figures().rate_per_h or 0) < 100


def test_causes_stay_few() -> None:
    tally = Tally()
    tally.take(0, 0, [record(n, "error", f"Error{n}: x") for n in range(100)])
    figures = tally.figures()
    assert len(figures.failures) == 21
    assert sum(figures.failures.values()) == figures.failed == 100
    assert json.dumps(figures.failures)


def test_failures_that_a_folder_holds_are_counted() -> None:
    tally = Tally(held={"timeout": 64})
    tally.take(64, 70, [])
    assert (tally.figures().failed, tally.figures().failures) == (64, {"timeout": 64})
    tally.take(66, 70, [record(0, "timeout", "late"), record(1)])
    assert (tally.figures().failed, tally.figures().failures) == (65, {"timeout": 65})


@pytest.mark.parametrize(
    "wrong", [{"state": 5}, {"seen": 3}, {"seen": "never"}, {"tick_s": "a"}, {"tick_s": 1e9}, {"job": 5},
              {"id": "../x"}, {"figures": {"failures": 5}}]
)  # fmt: skip
def test_a_state_that_makes_no_sense_is_left_out(wrong: dict[str, object], tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    write_state(folder, SessionState("20260101-000000-aaaa", state="done"))
    folder.write("sessions/20260101-000001-bbbb.json", json.dumps({"id": "20260101-000001-bbbb"} | wrong).encode())
    assert [s.id for s in read_sessions(folder)] == ["20260101-000000-aaaa"]
