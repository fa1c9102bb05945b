"""A study on a cluster, from another machine: submit, jobs, status, logs, stop, fetch."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcm_sweep.cluster.jobs.ray_jobs import RayJobs
from vcm_sweep.cluster.jobs.shipping import check_size, own_modules, pack_code, pack_job
from vcm_sweep.sweep import ExecutorError, StudyError

from ..ray_head import Head, environment_of

STUDY = """
[study]
name = "far"
[network]
model = "my_cells:model"
data = "my_cells:data"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[design]
method = "sobol"
n = 4
[run]
pack = 4
"""
OWN = """
import torch
from torch import nn
from torch.utils.data import TensorDataset
from my_helper import CENTRES

def data():
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(CENTRES, 12, generator=g)
    def part(n):
        y = torch.randint(3, (n,), generator=g)
        return TensorDataset(centres[y] + 0.3 * torch.randn(n, 12, generator=g), y)
    return part(96), part(48)

def model(shape, classes):
    return nn.Sequential(nn.Linear(*shape, 8), nn.ReLU(), nn.Linear(8, classes))
"""
COMMAND = [sys.executable, "-m", "vcm_sweep.cluster.cli"]
TRIALS = 16


def call(*arguments: object, home: Path, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd,
                          env=environment_of(home) | environment)  # fmt: skip


def said(*arguments: object, home: Path, cwd: Path, **environment: str) -> dict[str, object]:
    done = call(*arguments, "--json", home=home, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Where the user works: a study, modules of their own, and files named like our folders."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "far.toml").write_text(STUDY)
    (folder / "my_cells.py").write_text(OWN)
    (folder / "my_helper.py").write_text("CENTRES = 3\n")
    for name in ("analysis", "device", "sweep", "cluster"):
        (folder / f"{name}.py").write_text("raise RuntimeError('not to be imported')")
    return folder


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The environment of whoever may use the bucket "results" of a real S3-speaking server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "the-key-of-the-store",
        "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-store",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="results")
    yield variables
    server.stop()


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, store: dict[str, str]) -> Iterator[Head]:
    """A head on whose PATH our interpreter is not, as with Ray in an environment; it may use the store."""
    made = Head.start(tmp_path_factory.mktemp("head"), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **store})
    yield made
    made.kill()


def keys(out: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [key for part in (out / "parts").glob("*.parquet") for key in pq.read_table(part)["key"].to_pylist()]


def reads_a_file(project: Path) -> None:
    """From now on the user's modules need a file that nobody can guess from the study."""
    (project / "centres.txt").write_text("3")
    (project / "my_helper.py").write_text(
        "from pathlib import Path\nCENTRES = int(Path(__file__).with_name('centres.txt').read_text())\n"
    )


def until_over(out: object, home: Path, cwd: Path, **environment: str) -> dict[str, object]:
    done = call("status", out, "--watch", "--json", "--interval", 1, home=home, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_runs_far_away_with_its_own_modules_and_is_seen_from_anywhere(
    head: Head, project: Path, store: dict[str, str]
) -> None:
    out, away = "s3://results/studies/far", project.parent / "away"
    away.mkdir()
    reads_a_file(project)
    submit = ["submit", "far.toml", "--address", head.address, "--out", out, "--take", "centres.txt", "--no-report"]
    submitted = call(*submit, home=head.home, cwd=project, **store)
    assert submitted.returncode == 0, submitted.stderr
    assert f"vcm-sweep status --watch {out}" in submitted.stdout
    assert "without a token" not in submitted.stderr
    # It does not wait for the study. While it waits or runs, nobody starts it twice.
    again = call(*submit, home=head.home, cwd=project, **store)
    assert again.returncode == 3
    assert "a run is under way" in again.stderr
    # From here on as on another machine: no token, another folder.
    here = {"home": away, "cwd": away, **store}
    last = until_over(out, **here)
    assert (last["ok"], last["run"]["state"]) == (TRIALS, "done")  # type: ignore[index]
    [job] = json.loads(call("jobs", "s3://results/studies", "--json", **here).stdout)
    assert (job["folder"], job["state"], job["session"]["figures"]["done"]) == (out, "done", TRIALS)
    lines = [json.loads(line) for line in call("logs", out, "--json", **here).stdout.splitlines()]
    assert [line["status"] for line in lines if line["event"] == "trial"] == ["ok"] * TRIALS
    assert said("fetch", out, "here", **here)["there"] == 0
    assert len(keys(away / "here")) == len(set(keys(away / "here"))) == TRIALS
    token = (head.home / ".ray" / "auth_token").read_text()
    hidden = [secret.encode() for secret in (token, store["AWS_SECRET_ACCESS_KEY"], store["AWS_ACCESS_KEY_ID"])]
    everything = [path.read_bytes() for path in away.rglob("*") if path.is_file()] + [submitted.stdout.encode()]
    assert not any(secret in content for content in everything for secret in hidden)


@pytest.mark.ray
@pytest.mark.slow
def test_what_goes_wrong_on_the_cluster_is_said_from_the_folder(head: Head, project: Path) -> None:
    reads_a_file(project)
    out, options = project.parent / "out", {"home": head.home, "cwd": project}
    # The job's start fails: there is no such interpreter over there.
    submit = ["submit", "far.toml", "--address", head.address, "--out", out]
    assert call(*submit, "--python", "/no/such/python", **options).returncode == 0
    until = time.monotonic() + 300
    while "FAILED" not in (status := call("status", out, **options).stdout):
        assert time.monotonic() < until, status
        time.sleep(1)
    assert "submitted" in status
    # The driver fails: a file that the study reads was not taken along.
    assert call(*submit, **options).returncode == 0
    last = until_over(out, **options)
    assert last["run"]["state"] == "failed"  # type: ignore[index]
    assert "centres.txt" in last["run"]["reason"]  # type: ignore[index]
    table = call("jobs", out, **options).stdout
    assert "failed" in table
    assert "centres.txt" in table


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_that_does_not_take_us_is_one_line(head: Head, project: Path) -> None:
    out, nobody = project.parent / "out", project.parent / "nobody"
    nobody.mkdir()
    for home, variables, words in (
        (nobody, {}, "wants a token, and this machine has none"),
        (head.home, {"RAY_AUTH_TOKEN": "wrong-token-of-mine"}, "refused the token"),
    ):
        failed = call(
            "submit", "far.toml", "--address", head.address, "--out", out, home=home, cwd=project, **variables
        )
        assert failed.returncode == 4, failed.stderr
        assert words in failed.stderr
        assert failed.stderr.count("\n") == 1
        assert "wrong-token-of-mine" not in failed.stderr
    assert not out.exists(), "nothing was written for a job that nobody took"


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_outlives_its_head_goes_on_with_another_and_is_stopped(tmp_path: Path, project: Path) -> None:
    """kill -9 of the head in the middle, a new head, a stop: in the end every trial is there once."""
    text = STUDY.replace("my_cells:data", "digits").replace('model = "my_cells:model"', "hidden = [8]")
    (project / "far.toml").write_text(text.replace("epochs = 1", "epochs = 15").replace("pack = 4", "pack = 1"))
    out, away, home = tmp_path / "out", tmp_path / "away", tmp_path / "home"
    away.mkdir()
    here = {"home": away, "cwd": away}
    submit = ["submit", "far.toml", "--no-report", "--out", out, "--address"]
    head = Head.start(home)
    try:
        assert call(*submit, head.address, home=home, cwd=project).returncode == 0
        wait_for_more(out, set())
    finally:
        head.kill()
    kept = keys(out)
    assert len(kept) < TRIALS
    # The head is gone, with all that Ray knew.
    # A state of some seconds ago is believed; then its silence is noticed.
    until = time.monotonic() + 300
    while " silent " not in (table := call("jobs", tmp_path, **here).stdout):
        assert time.monotonic() < until, table
        time.sleep(2)
    assert "nothing is heard of this run any more; to go on: vcm-sweep submit far.toml" in table
    assert said("status", out, **here)["ok"] == len(kept)
    assert call("logs", out, **here).stdout.count(" trial ") >= len(kept)
    refused = call("stop", out, **here)
    assert (refused.returncode, "there is nothing to stop" in refused.stderr) == (3, True)
    assert said("fetch", out, "half", **here)["there"] == 0
    half = len(list((away / "half" / "parts").iterdir()))
    head = Head.start(home)
    try:
        assert call(*submit, head.address, home=home, cwd=project).returncode == 0
        wait_for_more(out, set(kept))
        assert said("stop", out, "--wait", 200, **here)["state"] == "stopped"
    finally:
        head.kill()
    before = keys(out)
    assert len(before) < TRIALS
    assert call("stop", out, **here).returncode == 3
    # What a cluster began, this machine may end.
    assert call("run", "far.toml", "--out", out, "--in-process", "--no-report", home=home, cwd=project).returncode == 0
    assert len(keys(out)) == len(set(keys(out))) == TRIALS
    assert set(kept) <= set(before) <= set(keys(out))
    # What is equal already is not copied again, whatever kind of file it is.
    kept_files = [path for path in (away / "half").rglob("*") if path.is_file()]
    equal = sum(path.read_bytes() == (out / path.relative_to(away / "half")).read_bytes() for path in kept_files)
    assert half <= equal < len(kept_files)
    assert said("fetch", out, "half", **here)["there"] == equal
    assert sorted(keys(away / "half")) == sorted(keys(out))
    states = [json.loads(path.read_text())["state"] for path in sorted((out / "sessions").glob("*.json"))]
    assert states == ["interrupted", "stopped", "done"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9", "is its head up"),
        ("ray://head:10001", "such as http://head:8265"),
        ("http://me:secret@head:8265", "such as http://head:8265"),
    ],
)
def test_an_address_that_is_no_dashboard_is_one_line(address: str, words: str) -> None:
    with pytest.raises(ExecutorError, match=words) as error:
        RayJobs(address)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_a_head_that_takes_a_connection_and_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vcm_sweep.cluster.jobs.ray_jobs._TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ExecutorError, match=r"does not do it .*timed out.*is its head up"):
            RayJobs(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < 30.0


def wait_for_more(out: Path, known: set[str]) -> set[str]:
    until = time.monotonic() + 300
    while not (now := set(keys(out))) - known:
        assert time.monotonic() < until
        time.sleep(0.2)
    return now


def test_what_is_taken_along_is_code_study_and_own_modules_alone(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "package").mkdir()
    (project / "package" / "__init__.py").write_text("")
    (project / "package" / "part.py").write_text("X = 1")
    (project / "package" / "table.csv").write_text("1,2")
    (project / "secrets.env").write_text("do not send")
    program = (
        "import importlib, json\nfor name in ('my_helper', 'package.part', 'json', 'numpy', 'torch'):\n"
        "    importlib.import_module(name)\n"
        "from vcm_sweep.cluster.jobs.shipping import own_modules\nprint(json.dumps([str(p) for p in own_modules()]))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == ["my_helper.py", "package"]
    monkeypatch.chdir(project)
    made = pack_job(
        tmp_path, project / "far.toml", STUDY, {"out": "x; rm -rf /"}, [Path("my_helper.py"), Path("package")]
    )
    files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert files == ["__init__.py", "job.json", "own/far.toml", "own/my_helper.py", "own/package/__init__.py",
                     "own/package/part.py", "own/package/table.csv"]  # fmt: skip
    code = pack_code(tmp_path)
    assert {path.name for path in code.iterdir()} == {"__init__.py", "device", "sweep", "analysis", "cluster"}
    assert (code / "analysis" / "report" / "templates" / "report.html.j2").is_file()
    assert check_size(code) < 3
    assert own_modules() == [] or all(path.suffix == ".py" for path in own_modules())


def test_what_is_too_large_or_elsewhere_is_not_taken_along(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with open(project / "big.bin", "wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(StudyError, match=r"has 60 MB, at most 50 .* own/big.bin"):
        pack_job(tmp_path / "a", project / "far.toml", STUDY, {}, [Path("big.bin")])
    for number, path in enumerate(("..", ".", "../other", "no.py")):
        with pytest.raises(StudyError, match="cannot be taken along"):
            pack_job(tmp_path / str(number), project / "far.toml", STUDY, {}, [Path(path)])


@pytest.mark.slow
def test_results_are_fetched_from_an_object_store_and_the_fetch_goes_on(
    project: Path, tmp_path: Path, store: dict[str, str]
) -> None:
    import boto3

    home = tmp_path / "home"
    home.mkdir()
    assert call("run", "far.toml", "--out", tmp_path / "out", "--in-process", home=home, cwd=project).returncode == 0
    # However many parts a run makes: a copy of it needs some.
    some = next((tmp_path / "out" / "parts").glob("*.parquet"))
    for number in range(3):
        shutil.copy(some, some.with_name(f"{number}-{some.name}"))
    s3 = boto3.client("s3", endpoint_url=store["AWS_ENDPOINT_URL"], region_name="us-east-1",
                      aws_access_key_id="testing", aws_secret_access_key="testing")  # fmt: skip
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "results", f"team/far/{path.relative_to(tmp_path / 'out')}")
    s3.put_object(Bucket="results", Key="team/far/checkpoints/half.safetensors", Body=b"of no use here")

    def fetch() -> dict[str, object]:
        done = call("fetch", "s3://results/team/far", "local", "--json", home=home, cwd=project, **store)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    assert fetch()["there"] == 0
    local = project / "local"
    whole = {path.relative_to(local): path.read_bytes() for path in local.rglob("*") if path.is_file()}
    assert not any("checkpoints" in path.parts for path in whole)
    # What an interrupted copy may leave: a part that is missing, one that is short.
    first, second, *others = sorted((local / "parts").glob("*.parquet"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    written = {path: path.stat().st_mtime_ns for path in others}
    assert fetch()["there"] == len(whole) - 2
    assert {path.relative_to(local): path.read_bytes() for path in local.rglob("*") if path.is_file()} == whole
    assert {path: path.stat().st_mtime_ns for path in others} == written
    [job] = json.loads(call("jobs", "s3://results/team", "--json", home=home, cwd=project, **store).stdout)
    assert (job["folder"], job["state"]) == ("s3://results/team/far", "done")
    logs = call("logs", "s3://results/team/far", home=home, cwd=project, **store).stdout
    assert logs.count(" trial ") == TRIALS
    missing = call("logs", "s3://results/team", home=home, cwd=project, **store)
    assert (missing.returncode, missing.stderr.count("\n")) == (3, 1)
    shutil.copytree(local, tmp_path / "other")
    study = tmp_path / "other" / "study.toml"
    study.write_text(study.read_text().replace("lr = 0.02", "lr = 0.03"))
    refused = call("fetch", tmp_path / "other", local, home=home, cwd=project)
    assert (refused.returncode, "holds another study" in refused.stderr) == (3, True)
    assert os.listdir(project / "local")
