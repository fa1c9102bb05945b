"""The decorator of compiled functions, whose code is kept on disk until any of their sources changes.

numba alone keeps compiled code as long as the function's own file is unchanged. But functions of other files are
inlined into it, and after a change of those (a ``git pull``, say) the old code would still be run.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb
from numba.core import event

from vcm_sweep.device.doing import Doing

_SOURCES = ("kernels/*.py", "kernels/cpu/**/*.py", "physics/**/*.py")
_WHILE_COMPILING = "compiling the kernels, once per installation: some minutes"


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: numba's njit with these options, whose code is kept on disk until any source changes.

    The code runs without the interpreter's lock, so that one thread can make cells while another trains.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = nb.njit(cache=True, nogil=True, **options)(function)
        # numba has no public way to name further files that code depends on, so this adds to its private stamp. If a
        # version of numba keeps its stamp elsewhere, or there is no cache, numba's own rule remains.
        file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if file is not None and hasattr(file, "_source_stamp"):
            file._source_stamp = (file._source_stamp, digest())
        return dispatcher

    return decorate


@functools.cache
def digest() -> str:
    """SHA-256 of all files whose functions or constants get into compiled code.

    >>> len(digest())
    64
    """
    device = Path(__file__).parents[2]
    files = sorted(file for pattern in _SOURCES for file in device.glob(pattern))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class _Compiling(event.Listener):
    """Says that kernels are compiled while numba compiles one; it does so in one thread at a time."""

    def __init__(self) -> None:
        self._depth, self._said = 0, Doing(_WHILE_COMPILING)

    def on_start(self, event: event.Event) -> None:
        """A function is compiled from its source, and not loaded from the disk."""
        self._depth += 1
        if self._depth == 1:
            self._said.__enter__()

    def on_end(self, event: event.Event) -> None:
        """It is compiled."""
        self._depth -= 1
        if not self._depth:
            self._said.__exit__(None, None, None)


event.register("numba:compile", _Compiling())

# ``_nrt=False`` leaves out numba's runtime, which counts references: unpacking a tuple of arrays in an inner loop would
# cost three times as much as the loop itself. Functions compiled this way may not allocate memory.
kernel = compiled(error_model="numpy", _nrt=False)
inlined = compiled(inline="always", error_model="numpy", _nrt=False)
# What is called in a loop over lanes, which becomes vector instructions only if nothing is called.
lane = compiled(error_model="numpy", _nrt=False, forceinline=True, fastmath={"contract"})
