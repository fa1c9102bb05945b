"""The source archive and the wheel, each installed into a new environment, do all that the repository does.

The environments see the packages that ours depends on where they are installed already, and ours only as it was packed:
what is tested is what we ship, not the 6 GB of torch.
"""

import json
import os
import signal
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("device", "sweep", "analysis", "cluster")
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
# Compiled code is kept by place, and our cell's would take a minute anew in each: aihwkit's devices need none of it.
# Their pulses cannot be seeded: trained so long that no training of it is near chance level (0.45 and more, 0.32 is).
STUDY = """\
study = {name = "one"}
network = {data = "digits", hidden = [], epochs = 8, batch = 32, lr = 0.1, train_samples = 512, test_samples = 64}
device = {aihwkit = "ConstantStepDevice"}
design = {method = "limits", n = 8}
[[factor]]
name = "network.lr"
range = [0.05, 0.2]
"""

pytestmark = [pytest.mark.slow, pytest.mark.engine]


def done(*words: object, cwd: Path, **variables: str) -> str:
    """What a process prints that must succeed, away from the repository and from its caches."""
    result = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cwd / "compiled"), **variables},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-1000:] + result.stderr[-2000:]
    return result.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The source archive, made of what git has, and the wheel, made of the source archive."""
    scratch = tmp_path_factory.mktemp("packed")
    names = done("git", "-C", ROOT, "ls-files", "-z", cwd=scratch).split("\0")
    for name in (name for name in names if name and (ROOT / name).is_file()):
        (scratch / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / "copy" / name).write_bytes((ROOT / name).read_bytes())
    done(sys.executable, "-c", BUILD, scratch, cwd=scratch / "copy")
    (archive,) = scratch.glob("*.tar.gz")
    done(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", scratch, archive, cwd=scratch)
    (wheel,) = scratch.glob("*.whl")
    return {"sdist": archive, "wheel": wheel}


@pytest.fixture(scope="module", params=["sdist", "wheel"])
def home(request: pytest.FixtureRequest, packed: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new environment in it, into which one of the two is installed."""
    folder = tmp_path_factory.mktemp(request.param)
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    install = ("install", "--no-deps", "--no-build-isolation", "--ignore-installed", packed[request.param])
    done(*PIP, "--python", folder / "venv/bin/python", *install, cwd=folder)
    return folder


def command(home: Path, *words: object) -> str:
    return done(home / "venv/bin/vcm-sweep", *words, cwd=home)


def test_both_hold_every_file_of_the_packages_and_no_other(packed: dict[str, Path]) -> None:
    kept = set(done("git", "-C", ROOT, "ls-files", *TOPS, cwd=ROOT).splitlines())
    code = {name for name in kept if not name.endswith("README.md")}
    with zipfile.ZipFile(packed["wheel"]) as wheel:
        assert {name for name in wheel.namelist() if ".dist-info/" not in name} == {f"vcm_sweep/{n}" for n in code}
    with tarfile.open(packed["sdist"]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {*kept, "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "studies/demo.toml"} - held == set()


def test_it_is_ours_that_is_installed(home: Path) -> None:
    assert command(home, "--version").startswith("vcm-sweep ")
    from_where = "import vcm_sweep.cluster as c, vcm_sweep.device as d; print(c.__file__, d.__file__)"
    found = done(home / "venv/bin/python", "-P", "-c", from_where, cwd=home).split()
    assert all(Path(file).is_relative_to(home) for file in found)


def test_a_study_goes_from_nothing_to_its_answer(home: Path) -> None:
    assert "is written" in command(home, "new", "mine.toml", "--template", "rank")
    (home / "one.toml").write_text(STUDY)
    assert json.loads(command(home, "plan", "one.toml", "--no-pilot", "--json", "--in-process"))["trials"] == 24
    command(home, "run", "one.toml", "--in-process", "--no-report", "--out", "out")
    assert "network.lr" in command(home, "analyze", "out")


def test_the_service_has_its_pages(home: Path) -> None:
    service = subprocess.Popen(
        [home / "venv/bin/vcm-sweep", "serve", "--root", "studies", "--port", "0", "--json", "--in-process"],
        cwd=home, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert service.stdout is not None
        place = json.loads(service.stdout.readline())["service"]
        with urllib.request.urlopen(f"{place}login", timeout=30) as page:
            assert b"</html>" in page.read()
        with urllib.request.urlopen(f"{place}static/service.css", timeout=30) as style:
            assert style.read() == (ROOT / "cluster/service/pages/static/service.css").read_bytes()
    finally:
        service.send_signal(signal.SIGINT)
        service.wait(60)
