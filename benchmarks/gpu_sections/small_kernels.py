# mypy: disallow-untyped-defs=False
"""Two small kernels in Triton: one that does nothing with as many arguments as ours, one that only computes."""

from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton


@triton.jit
def nothing(  # noqa: PLR0913
    a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, a23, a24,
    a25, a26, a27, a28, a29, n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11, n12, n13, n14, n15, n16, n17, n18, n19,
    n20, n21, n22,
):  # fmt: skip
    """Thirty tensors and 23 numbers, as the kernel that marches cells gets."""
    pass


@triton.jit
def chain(values, rounds, LANES: tl.constexpr):
    """ln(exp(x)) of every value, many times, in registers."""
    at = tl.program_id(0) * LANES + tl.arange(0, LANES)
    x = tl.load(values + at)
    for _ in range(rounds):
        x = tl.log(tl.exp(x))
    tl.store(values + at, x)
