"""Whether torch finds a GPU on this machine."""

import os
import re


def gpu_fault() -> str | None:
    """Why torch finds no GPU here, in a few words with what would help; None if it finds one."""
    import torch

    if torch.cuda.is_available():
        return None
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return _in_words(str(error), torch.__version__, str(torch.version.cuda))
    return "torch sees no CUDA device"


def _in_words(said: str, torch: str, cuda: str) -> str:
    """What torch said, without its links, and with the versions that are there and needed."""
    if old := re.search(r"driver on your system is too old \(found version (\d+)\)", said):
        found = f"{int(old[1]) // 1000}.{int(old[1]) % 1000 // 10}"
        return (
            f"the NVIDIA driver is for CUDA {found} and torch {torch} needs one for CUDA {cuda}: update the driver, or "
            f"install a torch that was built for CUDA {found}"
        )
    if "no NVIDIA driver" in said:
        return f"there is no NVIDIA driver: torch {torch} needs one for CUDA {cuda}"
    if "not compiled with CUDA" in said:
        return f"torch {torch} was built without CUDA: install its CUDA build"
    if "No CUDA GPUs are available" in said and (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return f"the driver shows torch no card: CUDA_VISIBLE_DEVICES = {visible!r}"
    # torch's first sentence says what is wrong; more of them say where to find drivers.
    return said.splitlines()[0].split(". ")[0].rstrip(".")
