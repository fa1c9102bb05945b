"""What every test needs: one thread, as a worker has, compiled kernels, and the data sets.

With several processes (``-n 2``) each takes whole files, so that what a file makes once is made only once. The tests
that share the Ray cluster of the session all run in one process.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import vcm_sweep.device  # noqa: F401  before any test imports aihwkit, which may lack its compiled engine

# A process that a shell starts in the background ignores SIGINT, and so would everything that tests start from it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A small training, plain and with an intervention: together they compile all kernels, whose code is kept on the disk.
_COMPILE = """
import sys
from vcm_sweep.sweep import Study, build_design, train
text = open("studies/demo.toml").read().replace("epochs = 4", "epochs = 1\\ntrain_samples = 32\\ntest_samples = 32")
train(list(build_design(Study.from_text(text.replace("[[factor]]", sys.argv[1] + "[[factor]]", 1))).trials(range(2))))
"""
_KINDS = ("", '[device.intervention]\nkind = "matched"\n')


def pytest_configure(config: pytest.Config) -> None:
    """Compile before the processes of ``-n`` start, because otherwise each of them would, for a minute."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        compiling = [subprocess.Popen([sys.executable, "-c", _COMPILE, kind], cwd=config.rootpath) for kind in _KINDS]
        for process in compiling:
            process.wait()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.pluginmanager.hasplugin("xdist"):
        return  # as on a borrowed GPU machine, which has pytest alone
    for item in items:
        shared = "cluster" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("ray" if shared else item.nodeid.split("::")[0]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("engine"):
        from vcm_sweep.device.aihwkit_engine import REMEDY, engine_fault

        if fault := engine_fault():
            pytest.skip(f"{fault}: {REMEDY}")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist_root() -> str:
    """The torchvision root of MNIST; without it tests are skipped, or in CI fail."""
    from vcm_sweep.sweep.data.sets import CACHE

    root = Path(os.environ.get("VCM_SWEEP_DATA") or CACHE)
    if not (root / "MNIST" / "raw").is_dir():
        message = f"MNIST is not in {root}: set VCM_SWEEP_DATA"
        if os.environ.get("VCM_SWEEP_REQUIRE_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return str(root)
