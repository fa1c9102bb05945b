"""The files in deploy/ use only what Ray, KubeRay, Slurm and our own command line understand."""

import copy
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from vcm_sweep.cluster.cli import build_parser

from .ray_head import free_ports

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERAY = json.loads((Path(__file__).parent / "data" / "kuberay.json").read_text())


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text()))


def cluster_of(name: str) -> dict[str, Any]:
    spec = read(name)["spec"]
    return dict(spec.get("rayClusterSpec", spec))


@pytest.mark.parametrize("name", ["rayjob.yaml", "raycluster.yaml"])
def test_kuberay_takes_them(name: str) -> None:
    jsonschema.validate(read(name), KUBERAY)
    # What a slip of the pen would be, the schema sees.
    for path, value in (
        (("headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("headGroupSpec", "templates"), {}),
        (("workerGroupSpecs", 0, "template", "spec", "containers", 0, "resources", "limits", "memory"), "32 GB"),
        (("authOptions", "mode"), "on"),
    ):
        wrong = copy.deepcopy(read(name))
        place = wrong["spec"].get("rayClusterSpec", wrong["spec"])
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, KUBERAY)


def test_ray_up_takes_it() -> None:
    import ray
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(read("ray-up.yaml"), schema)
    validate_config(prepare_config(copy.deepcopy(read("ray-up.yaml"))))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read("ray-up.yaml") | {"workers": 3}, schema)


def test_all_of_them_mean_one_image_one_ray_and_a_token() -> None:
    pods = [
        container
        for name in ("rayjob.yaml", "raycluster.yaml")
        for group in (cluster_of(name)["headGroupSpec"], *cluster_of(name)["workerGroupSpecs"])
        for container in group["template"]["spec"]["containers"]
    ]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {pod["image"] for pod in pods} | {read("ray-up.yaml")["docker"]["image"]} == {
        f"REGISTRY/vcm-sweep:{version}"
    }
    pinned = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("ray=="))
    assert {cluster_of(n)["rayVersion"] for n in ("rayjob.yaml", "raycluster.yaml")} == {pinned.removeprefix("ray==")}
    assert all(cluster_of(name)["authOptions"] == {"mode": "token"} for name in ("rayjob.yaml", "raycluster.yaml"))
    starts = [line for line in [*read("ray-up.yaml")["head_start_ray_commands"],
                                *read("ray-up.yaml")["worker_start_ray_commands"]] if "ray start" in line]  # fmt: skip
    assert all(line.startswith("RAY_AUTH_MODE=token ") for line in starts)
    assert "RAY_AUTH_MODE=token" in (DEPLOY / "slurm.sh").read_text()


def test_the_commands_in_them_are_ours() -> None:
    entry = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"].partition("||")[0])
    lines = [entry]
    for file in DEPLOY.iterdir():
        for line in file.read_text().splitlines():
            text = line.strip("#|` ").split(" # ")[0]
            if text.startswith("vcm-sweep ") and "..." not in text and not text.endswith("&"):
                lines.append(shlex.split(text))
    assert len(lines) > 5
    for line in lines:
        assert line[0] == "vcm-sweep"
        build_parser().parse_args(line[1:])


def test_the_service_on_kubernetes_is_ours_and_its_parts_fit_together() -> None:
    claim, deployment, service, policy, ingress = yaml.safe_load_all((DEPLOY / "service.yaml").read_text())
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    given = build_parser().parse_args(container["command"][1:])
    assert given.root == container["volumeMounts"][0]["mountPath"]
    assert given.port == container["ports"][0]["containerPort"] == service["spec"]["ports"][0]["targetPort"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": given.port}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert container["image"] == f"REGISTRY/vcm-sweep:{version}"
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    # Who asks is believed from whatever reaches the pod, so nothing but the ingress may.
    assert given.behind_proxy == "*"
    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (allowed,) = policy["spec"]["ingress"]
    assert allowed["ports"] == [{"port": given.port}]
    assert pod["spec"]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": service["metadata"]["name"], "port": {"number": service["spec"]["ports"][0]["port"]}}


def installed_files(root: Path, top: str = ".") -> set[str]:
    """What a folder has of code, types and data: all but the READMEs, which are for whoever reads the repository."""
    return {
        str(path.relative_to(root))
        for path in (root / top).rglob("*")
        if path.is_file() and path.name[0] != "." and path.name != "README.md" and "__pycache__" not in path.parts
    }


def test_the_image_holds_all_that_the_package_needs(tmp_path: Path) -> None:
    """What the Dockerfile copies is put together without Docker, installed, and used."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == ["FROM python:3.12-slim"]
    context = tmp_path / "context"
    context.mkdir()
    for line in lines:
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, context / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, context / target)
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, context],
        check=True,
        timeout=300,
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import vcm_sweep.analysis as a, vcm_sweep.device as d; print(*a.__path__, "
         "d.load_cell('default').r); import sys; from vcm_sweep.cluster.cli import main; main(['--help'])"],
        env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(site) in done.stdout
    assert "submit" in done.stdout
    assert installed_files(site / "vcm_sweep") == {
        path for top in ("device", "sweep", "analysis", "cluster") for path in installed_files(ROOT, top)
    }


def test_the_slurm_script_is_bash() -> None:
    subprocess.run(["bash", "-n", DEPLOY / "slurm.sh"], check=True)


STUDY = """
[study]
name = "slurm"
[network]
hidden = [8]
data = "digits"
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
pack = 2
"""
# Starts what it is given here, whatever node it is for; Ray's ports must not meet those of others on this machine.
SRUN = """#!{python}
import os, sys
command = sys.argv[1:]
while command[0].startswith("--"):
    command.pop(0)
if command[:2] == ["ray", "start"]:
    head = "--head" in command
    command += ["--disable-usage-stats", *(open({ports!r} + ("head" if head else "worker")).read().split())]
os.execvp(command[0], command)
"""


@pytest.mark.ray
@pytest.mark.slow
def test_the_slurm_script_starts_head_workers_and_study_with_a_slurm_that_is_played(tmp_path: Path) -> None:
    """srun and scontrol are stand-ins that start everything on this machine; Ray, token and study are real."""
    play, work = tmp_path / "bin", tmp_path / "work"
    play.mkdir()
    work.mkdir()
    own = Path(sys.executable).parent
    ports = free_ports(12)
    options = ("dashboard-agent-listen-port", "metrics-export-port", "node-manager-port", "object-manager-port",
               "dashboard-agent-grpc-port")  # fmt: skip
    for number, kind in enumerate(("head", "worker")):
        words = [f"--{name}={port}" for name, port in zip(options, ports[5 * number :], strict=False)]
        if kind == "head":
            words += ["--include-dashboard=false", f"--ray-client-server-port={ports[10]}"]
        (tmp_path / f"ports-{kind}").write_text(" ".join(words))
    tools = {
        "srun": SRUN.format(python=sys.executable, ports=str(tmp_path / "ports-")),
        "scontrol": '#!/bin/sh\n[ "$2" = hostnames ] && printf "%s\\n" node-1 node-2 || echo "$@" >> requeued\n',
        "hostname": "#!/bin/sh\necho 127.0.0.1\n",
        "vcm-sweep": f'#!/bin/sh\nexec {own}/python -m vcm_sweep.cluster.cli "$@"\n',
        "ray": f'#!/bin/sh\nexec {own}/python -m ray.scripts.scripts "$@"\n',
    }
    for name, text in tools.items():
        (play / name).write_text(text)
        (play / name).chmod(0o755)
    (work / "study.toml").write_text(STUDY)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "PATH": f"{play}:{own}:/usr/bin:/bin",
        "HOME": str(work),
        "SLURM_JOB_ID": str(ports[11] - 20000 if ports[11] >= 20000 else ports[11]),
        "SLURM_JOB_NODELIST": "node-[1-2]",
        "SLURM_CPUS_PER_TASK": "1",
    }
    done = subprocess.run(["bash", DEPLOY / "slurm.sh", "study.toml", "out"], cwd=work, env=environment,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    import pyarrow.parquet as pq

    statuses = [
        s for part in (work / "out" / "parts").glob("*.parquet") for s in pq.read_table(part)["status"].to_pylist()
    ]
    assert statuses == ["ok"] * 16
    assert done.stdout.count("Ray runtime started") == 2, "a head and a worker"
    assert not list(work.glob(".vcm-sweep-token-*")), "the token is gone with the job"
    assert not (work / "requeued").exists()
