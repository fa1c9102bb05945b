"""What torch says where it finds no GPU becomes a few words with the fix."""

import pytest
import torch

from vcm_sweep.cluster.running.gpu import gpu_fault

# As torch 2.13 says it (c10/cuda/CUDAFunctions.cpp and torch/cuda/__init__.py).
TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading "
    "and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx Alternatively, go to: "
    "https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA driver."
)
NO_DRIVER = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from "
    "http://www.nvidia.com/Download/index.aspx"
)
UNKNOWN = "CUDA unknown error - this may be due to an incorrectly set up environment. Setting the available devices"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError(TOO_OLD),
            r"is for CUDA 11.4 and torch \S+ needs one for CUDA 13.0: update .*for CUDA 11.4$",
        ),
        (RuntimeError(NO_DRIVER), r"^there is no NVIDIA driver: torch \S+ needs one for CUDA 13.0$"),
        (AssertionError("Torch not compiled with CUDA enabled"), "was built without CUDA: install its CUDA build$"),
        (RuntimeError("No CUDA GPUs are available"), "shows torch no card: CUDA_VISIBLE_DEVICES = '-1'$"),
        (RuntimeError(UNKNOWN), "^CUDA unknown error - this may be due to an incorrectly set up environment$"),
        (None, "^torch sees no CUDA device$"),
    ],
)
def test_why_there_is_no_gpu_is_said_in_a_few_words(
    error: Exception | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    found = gpu_fault()
    assert found is not None
    with pytest.raises(ValueError, match=words):
        raise ValueError(found)
    assert "\n" not in found
    assert "http" not in found


def test_a_gpu_that_is_there_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu_fault() is None
