"""How the compiled kernels are compiled, and when what was compiled before no longer holds.

numba keeps compiled code on disk and asks only the file of a function whether it changed, not those of the functions
that it calls: after an update of one kernel file the others would go on with old code. The digest of all kernel files
is kept beside the compiled code; where it differs, that code is removed.
"""

import hashlib
from pathlib import Path

import numba as nb

_KERNELS = ("_jit", "_march", "_physics", "_pulse", "_random", "_stencil", "_update", "constants", "tables")

# Without numba's runtime, which counts references: a tuple of arrays that is unpacked in an inner loop would cost three
# times what the loop itself does. Nothing compiled this way may allocate.
kernel = nb.njit(cache=True, error_model="numpy", _nrt=False)
inlined = nb.njit(cache=True, inline="always", error_model="numpy", _nrt=False)


def _forget_old_code() -> None:
    here = Path(__file__).parent
    digest = hashlib.sha256()
    try:
        for name in _KERNELS:
            digest.update((here / f"{name}.py").read_bytes())
        cache = here / "__pycache__"
        noted = cache / "kernels.sha256"
        if noted.exists() and noted.read_text() == digest.hexdigest():
            return
        for name in _KERNELS:
            for compiled in (*cache.glob(f"{name}.*.nbi"), *cache.glob(f"{name}.*.nbc")):
                compiled.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        noted.write_text(digest.hexdigest())
    except OSError:
        return  # a folder that may only be read: numba then keeps its code elsewhere, by the path of the installation


_forget_old_code()
