"""``triton`` and ``tl`` for the modules that define GPU kernels, or stand-ins that let those import without Triton."""

from typing import Any


class NoTriton:
    """Takes the place of Triton if it is missing, so that the modules of the kernels can be imported."""

    @staticmethod
    def jit(function: Any = None, **_: Any) -> Any:
        return NoTriton.jit if function is None else function

    @staticmethod
    def constexpr(value: Any) -> Any:
        return value


triton: Any
tl: Any
try:
    import triton  # type: ignore[import-untyped,no-redef]
    import triton.language as tl  # type: ignore[import-untyped,no-redef]
except ImportError:
    triton = tl = NoTriton

PRESENT = triton is not NoTriton
