"""Checks of GPU kernels without a GPU: by Triton's interpreter, and by compiling for GPUs that are not here.

The interpreter must be chosen before Triton is imported, so a process of its own, the tests' module as a program, runs
every check; with a GPU the same checks run in the tests' own process.
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

Checks = Mapping[str, Callable[[str], None]]

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


def checks_of(module: Mapping[str, Any]) -> Checks:
    """The functions check_... of a module; each takes the device that it runs on."""
    return {
        name.removeprefix("check_"): value
        for name, value in module.items()
        if name.startswith("check_") and value.__module__ == module["__name__"]
    }


def run_checks(checks: Checks) -> None:
    """Run those that the command names, or all, on the CPU, and print what went wrong as one line of JSON."""
    torch.set_num_threads(1)
    outcome = {}
    for name in sys.argv[1:] or checks:
        try:
            checks[name]("cpu")
            outcome[name] = ""
        except Exception:
            outcome[name] = traceback.format_exc()
    print(json.dumps(outcome))


class Compiled(NamedTuple):
    """What a kernel takes of a GPU: registers of a lane, and bytes that each lane keeps in memory for want of them."""

    registers: int
    spilled: int


INTEGERS = {"trials", "batch", "inputs", "outputs", "groups", "together", "capacity", "varied_rows"}


def compiled(kernel, constants, warps, capability=90, one=False, aligned=()) -> Compiled:
    """Compile a kernel for a GPU that is not here.

    ``one``: with every integer that Triton specialises at 1. ``aligned``: integers, and with them all tensors, are
    multiples of 16, as in a launch that Triton specialises for that.
    """
    import triton.backends.nvidia
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kinds = dict.fromkeys(
        ("x", "d", "weight", "nodes", "boosts", "rates", "varied", "w_lows", "w_highs", "targets"), "*fp32"
    )
    kinds |= {
        "streams": "*u64",
        "keys": "*u64",
        "call": "*i64",
        "layout": "*i64",
        "lengths": "*i64",
        "listed": "*i32",
        "counts": "*i32",
    }
    kinds |= {"places": "*i64", "polarities": "*i8", "firing": "*i64"}
    kinds |= dict.fromkeys(("rows", "columns"), "*i64" if constants.get("KIND", 0) == 0 else "*fp64")
    kinds |= dict.fromkeys(("plain", "read_noise", "settings", "readings", "variances", "out"), "*fp32")
    signature, fixed, multiples = {}, {}, {}
    for place, name in enumerate(kernel.arg_names):
        integer = name in INTEGERS or name.endswith("_stride")
        if name in constants or (integer and one):
            signature[name] = "constexpr"
            fixed[(place,)] = constants.get(name, 1)
        elif integer:
            signature[name] = "i32"
            if name in aligned:
                multiples[(place,)] = [["tt.divisibility", 16]]
        else:
            if aligned:
                multiples[(place,)] = [["tt.divisibility", 16]]
            parameter = name.startswith(("base_", "walked_"))
            signature[name] = "*fp32" if parameter else kinds.get(name, "*fp64")
    made = triton.compile(
        ASTSource(kernel, signature, fixed, multiples),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": warps, "enable_fp_fusion": False},
    )
    tool = Path(triton.backends.nvidia.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(made.asm["cubin"])
        usage = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    found = [int(re.search(rf"{name}:(\d+)", usage)[1]) for name in ("REG", "STACK")]
    return Compiled(*found)
