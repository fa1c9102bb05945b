"""Packs that share a process and its GPU: which of them makes its cells, and which trains; and giving memory back."""

import gc
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple


class Turns(NamedTuple):
    """Held by a pack while it makes its cells, and while it trains them; locks where several packs share a process.

    So the cells of the next pack are made, on the CPU, while this one trains, and there is one pack on the GPU.
    """

    making: AbstractContextManager[Any] = nullcontext()
    training: AbstractContextManager[Any] = nullcontext()


_ALONE = Turns()
turns: ContextVar[Turns] = ContextVar("turns", default=_ALONE)
"""Those of this thread; alone in its process a pack waits for nobody."""


def give_memory_back() -> None:
    """Free what a pack held on a GPU, also in the cache of torch, from which other processes cannot take it."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        gc.collect()  # layers and their tiles refer to each other
        with suppress(RuntimeError):  # torch before 2.13, if it failed to record a step
            torch.cuda.empty_cache()
