"""Whether torch finds a GPU on this machine."""


def gpu_fault() -> str | None:
    """Why torch finds no GPU here, in a few words: no card, no driver or too old a one; None if it finds one."""
    import torch

    if torch.cuda.is_available():
        return None
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        # torch's first sentence says what is wrong; more of them say where to find drivers.
        return str(error).splitlines()[0].split(". ")[0].rstrip(".")
    return "torch sees no CUDA device"
