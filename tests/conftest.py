"""What every test needs: one thread, as a worker has, and the data sets."""

import os
import signal
from pathlib import Path

import pytest

# A shell that starts the tests in its background lets them ignore SIGINT, and so all that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist_root() -> str:
    """The torchvision root of MNIST; CI requires it, elsewhere its absence skips."""
    from vcm_sweep.sweep.data import CACHE

    root = Path(os.environ.get("VCM_SWEEP_DATA") or CACHE)
    if not (root / "MNIST" / "raw").is_dir():
        message = f"MNIST is not in {root}: set VCM_SWEEP_DATA"
        if os.environ.get("VCM_SWEEP_REQUIRE_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return str(root)
