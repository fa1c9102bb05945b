"""What a type checker sees: the examples of docs/python.md pass as strictly as it can ask, and a mistake does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def examples() -> str:
    """The page's Python: blocks of indented lines that begin with an import of ours, or of aihwkit's."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, flags=re.MULTILINE)
    python = [block for block in blocks if re.match(r"\s*from (vcm_sweep|aihwkit)", block)]
    assert len(python) >= 3
    return "\n".join(line.removeprefix("    ") for block in python for line in block.splitlines())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy --strict says of three files, by their name: it is run once, as it reads torch each time."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "links" / "vcm_sweep").mkdir(parents=True)
    for package in ("device", "sweep", "analysis", "cluster"):
        (folder / "links" / "vcm_sweep" / package).symlink_to(ROOT / package)
    files = {
        "users": examples(),
        "revealed": "from vcm_sweep import device, sweep\n\n"
        "reveal_type(device.current)\nreveal_type(sweep.open_results)\n",
        "mistaken": "from vcm_sweep.device import current\n\ncurrent(0.2, 0.3, nonsense=1)\n"
        "current('x', 0.3, nonsense=1)\n",
    }
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"),
            "--cache-dir", str(folder / "cache"), "--follow-imports", "silent",
            *(str(folder / f"{name}.py") for name in files),
        ],
        capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "MYPYPATH": str(folder / "links")},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {name: [line for line in done.stdout.splitlines() if f"{name}.py:" in line] for name in files}


@pytest.mark.slow
def test_the_examples_of_the_readme_pass_strictly(told: dict[str, list[str]]) -> None:
    assert told["users"] == []


@pytest.mark.slow
def test_a_public_function_is_its_signature(told: dict[str, list[str]]) -> None:
    current, opened = told["revealed"]
    assert "voltage_v" in current
    assert "torch._tensor.Tensor" in current
    assert "Results" in opened
    assert "Any" not in current + opened


@pytest.mark.slow
def test_an_argument_that_does_not_exist_is_refused(told: dict[str, list[str]]) -> None:
    assert {re.search(r":(\d+):", line)[1] for line in told["mistaken"] if "error" in line} == {"3", "4"}  # type: ignore[index]
    assert "nonsense" in " ".join(told["mistaken"]) or "No overload variant" in " ".join(told["mistaken"])
