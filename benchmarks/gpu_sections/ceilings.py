"""Section 2: what this GPU and this host can do at best, against which the kernels and the steps are held."""

import functools
import time
from collections.abc import Callable

import torch

from gpu_sections.call import Call, Report
from gpu_sections.places import Gpu, median_ms, place, why_no_kernels
from gpu_sections.small_kernels import chain, nothing
from vcm_sweep.device.seeds import stream_key


def run(call: Call, report: Report) -> None:
    """Memory, products, double precision, launches, waits and keys."""
    where = place(call)
    figures = report.figures
    size = 1 << (16 if call.rehearse else 28)
    source = torch.zeros(size, device=where.device)
    target = torch.empty_like(source)
    figures["copy_gb_s"] = 8 * size / median_ms(where, lambda: target.copy_(source), 10) / 1e6
    report.lines.append(f"copy {figures['copy_gb_s']:.0f} GB/s, read and written")
    _products(where, call, report)
    broken = why_no_kernels(where)
    if broken:
        report.lines.append(f"no kernels of Triton here: {broken}")
    else:
        _chains(where, call, report)
    _launches(where, call, report, not broken)
    _waits(where, report)
    began = time.perf_counter()
    for k in range(1000):
        stream_key(k, 1, 2, 3, 4)
    figures["stream_key_us"] = (time.perf_counter() - began) * 1e3
    report.lines.append(f"stream_key {figures['stream_key_us']:.2f} us")


def _products(where: Gpu, call: Call, report: Report) -> None:
    trials = 2 if call.rehearse else 256
    x = torch.rand(trials, 32, 784, device=where.device)
    weights = torch.rand(trials, 784, 256, device=where.device)
    out = torch.empty(trials, 32, 256, device=where.device)
    usual = torch.backends.cuda.matmul.allow_tf32
    for name, allowed in (("fp32", False), ("tf32", True)):
        torch.backends.cuda.matmul.allow_tf32 = allowed
        ms = median_ms(where, lambda: torch.bmm(x, weights, out=out), 10)
        report.figures |= {f"bmm_{name}_ms": ms, f"bmm_{name}_tflop_s": 2 * trials * 32 * 784 * 256 / ms / 1e9}
    torch.backends.cuda.matmul.allow_tf32 = usual
    report.lines.append(
        f"bmm ({trials}, 32, 784) x ({trials}, 784, 256): "
        + ", ".join(
            f"{name} {report.figures[f'bmm_{name}_ms']:.3f} ms, {report.figures[f'bmm_{name}_tflop_s']:.1f} TFLOP/s"
            for name in ("fp32", "tf32")
        )
    )


def _chains(where: Gpu, call: Call, report: Report) -> None:
    lanes, rounds = (64, 2) if call.rehearse else (1 << 19, 256)
    for name, kind in (("fp32", torch.float32), ("fp64", torch.float64)):
        values = torch.ones(lanes, dtype=kind, device=where.device)
        launch = functools.partial(chain[(lanes // 32,)], values, rounds, 32, num_warps=1)
        ms = median_ms(where, launch, 3)
        report.figures[f"exp_log_{name}_per_s"] = lanes * rounds / ms * 1e3
    report.lines.append(
        "pairs of exp and log: "
        + ", ".join(f"{report.figures[f'exp_log_{name}_per_s']:.2e} per second in {name}" for name in ("fp32", "fp64"))
    )


def _launches(where: Gpu, call: Call, report: Report, kernels: bool) -> None:
    count = 3 if call.rehearse else 200
    one = torch.zeros(1, device=where.device)

    def eager() -> None:
        for _ in range(count):
            one.add_(1)

    def fifty_three() -> None:
        for _ in range(count):
            nothing[(1,)](*[one] * 30, *range(2, 25))

    figures = report.figures
    figures["launch_eager_us"] = _each_us(where, eager, count)
    figures["launch_graph_us"] = _each_us(where, where.recorded(eager), count)
    if kernels:
        figures["launch_triton_us"] = _each_us(where, fifty_three, count)
    report.lines.append(
        "an empty kernel: "
        + ", ".join(
            f"{name} {figures[f'launch_{key}_us']:.1f} us"
            for key, name in (("eager", "eager"), ("triton", "by Triton with 53 arguments"), ("graph", "replayed"))
            if f"launch_{key}_us" in figures
        )
    )


def _each_us(where: Gpu, work: Callable[[], object], count: int) -> float:
    work()
    where.wait()
    began = time.perf_counter()
    work()
    where.wait()
    return (time.perf_counter() - began) / count * 1e6


def _waits(where: Gpu, report: Report) -> None:
    flag = torch.ones(1, dtype=torch.bool, device=where.device)
    bool(flag)
    began = time.perf_counter()
    for _ in range(100):
        bool(flag)
    wait_us = (time.perf_counter() - began) * 1e4
    pageable = torch.zeros(256, dtype=torch.int64)
    pageable.to(where.device, non_blocking=True)
    where.wait()
    # If the copy waits for the queue, it takes as long as the GPU is kept busy.
    where.hold(20.0)
    began = time.perf_counter()
    pageable.to(where.device, non_blocking=True)
    copy_ms = (time.perf_counter() - began) * 1e3
    where.wait()
    report.figures |= {"wait_us": wait_us, "pageable_copy_under_20_ms_of_work_ms": copy_ms}
    report.lines.append(
        f"one wait {wait_us:.1f} us; a pageable copy of 2 kB behind 20 ms of work returns after {copy_ms:.2f} ms: it "
        f"{'waits' if copy_ms > 5 else 'does not wait'}"
    )
