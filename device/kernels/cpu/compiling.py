"""The decorator of compiled functions, whose code is kept on disk until any of their sources changes.

numba keeps compiled code as long as the function's own file stays as it is. But functions of the other files are
inlined into it, so that after a change there, as a pull into a checkout brings it, the old code would go on running.
"""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb

_SOURCES = ("kernels", "physics")


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: numba's njit with these options, its code kept on disk for as long as all sources stay."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = nb.njit(cache=True, **options)(function)
        # numba has no public way to say what else code depends on. Where a version keeps its stamp elsewhere, or
        # the disk cannot be written, what is left is numba's own rule.
        file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
        if file is not None and hasattr(file, "_source_stamp"):
            file._source_stamp = (file._source_stamp, digest())
        return dispatcher

    return decorate


@functools.cache
def digest() -> str:
    """SHA-256 of the folders whose functions are inlined into compiled code, or whose constants are taken over.

    >>> len(digest())
    64
    """
    device = Path(__file__).parents[2]
    files = sorted(file for folder in _SOURCES for file in (device / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


# Without numba's runtime, which counts references: a tuple of arrays that is unpacked in an inner loop would cost three
# times what the loop itself does. Nothing compiled this way may allocate.
kernel = compiled(error_model="numpy", _nrt=False)
inlined = compiled(inline="always", error_model="numpy", _nrt=False)
