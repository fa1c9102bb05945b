"""What the checks of GPU kernels share."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def interpreted(request: pytest.FixtureRequest) -> dict[str, str]:
    """What went wrong in each check of a file that was asked for, nothing where it passed."""
    own = [item for item in request.session.items if item.path == request.path]
    names = [item.callspec.params["check"] for item in own if "interpreted" in item.fixturenames]
    root = request.config.rootpath
    module = ".".join(request.path.relative_to(root).with_suffix("").parts)
    done = subprocess.run(
        [sys.executable, "-m", module, *names], cwd=root, env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def compiling(monkeypatch, tmp_path) -> None:
    import triton

    if "nvidia" not in triton.backends.backends:
        pytest.skip("this Triton has no NVIDIA backend")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
