"""Section 4: whole steps of stacks of growing size, one by one and replayed, and of two peers without our cells."""

from typing import Any

from gpu_sections.call import Call, Report
from gpu_sections.peers import compiled_ms, inference_ms, plain_ms
from gpu_sections.places import Gpu, place, seconds_into
from gpu_sections.stacks import Sizes, Training, kept, sizes
from vcm_sweep.device.aihwkit_engine import engine_fault

PROFILED = 3


def run(call: Call, report: Report) -> None:
    """Time, launches, waits and memory by the number of stacked trials; then the peers and the ratios to them."""
    where, size = place(call), sizes(call)
    rows: list[dict[str, Any]] = []
    report.figures["stacks"] = rows
    for count in size.stacks:
        rows.append(_stack(call, where, size, count))
        row = rows[-1]
        if where.device == "cuda":
            report.checks[f"K = {count}: steps are replayed"] = "" if row["replayed"] else "the GPU did not record one"
        waits = ", ".join(f"{n:g} {place}" for place, n in sorted(row["waits"].items(), key=lambda item: -item[1])[:3])
        report.lines.append(
            f"K = {count}: {'' if row['replayed'] else 'not '}replayed {row['replayed_ms']:.2f} ms, one by one "
            f"{row['wall_ms']:.2f}, host {row['host_ms']:.2f}, GPU busy {row['busy_ms']:.2f}; "
            f"launches {row['others']:.0f} + {row['ours']:.0f} of ours, {row['copies']:.0f} copies; "
            f"waits {sum(row['waits'].values()):.0f} ({waits}); {row['peak_bytes'] / 2**30:.1f} GiB; made in "
            f"{row['made_s']:.1f} s"
        )
    _peers(call, report, where, size)


def _stack(call: Call, where: Gpu, size: Sizes, count: int) -> dict[str, Any]:
    made: dict[str, float] = {}
    where.peak_bytes()
    with seconds_into(made, "made_s", where):
        # The largest is shared with other sections, and may be there already.
        shared = count == size.stacks[-1]
        training = (
            kept(call, where.device, "noise-free", count)
            if shared
            else Training(size, "noise-free", count, where.device)
        )
    seconds: dict[str, float] = {}
    with training.one_by_one():
        training.take(size.warm_up)
        where.wait()
        with seconds_into(seconds, "all", where), seconds_into(seconds, "queued"):
            training.take(size.timed)
        waits = where.waits(lambda: training.take(1))
        profile = where.profile(lambda: training.take(PROFILED))
    training.take(size.warm_up)
    where.wait()
    with seconds_into(seconds, "replayed", where):
        training.take(size.timed)
    replay = training.run.replay
    return {
        "replayed_ms": 1e3 * seconds["replayed"] / size.timed, "replayed": replay is not None and replay.possible,
        "trials": count, **made, "wall_ms": 1e3 * seconds["all"] / size.timed,
        "queued_ms": 1e3 * seconds["queued"] / size.timed,
        "host_ms": 1e3 * seconds["queued"] / size.timed - profile.waiting_ms / PROFILED,
        "waiting_ms": profile.waiting_ms / PROFILED, "busy_ms": profile.busy_ms / PROFILED,
        "ours": profile.ours / PROFILED, "others": profile.others / PROFILED, "copies": profile.copies / PROFILED,
        "waits": dict(waits), "peak_bytes": where.peak_bytes(),
    }  # fmt: skip


def _peers(call: Call, report: Report, where: Gpu, size: Sizes) -> None:
    """What the same network takes without our cells: on the GPU with a plain update, on the CPU by aihwkit's device."""
    own = {row["trials"]: row["replayed_ms"] for row in report.figures["stacks"]}
    plain = {count: plain_ms(size, count, where) for count in size.stacks}
    report.lines.append(
        "a plain torch tile, same IO, floating-point update, ms per step (ours / it): "
        + "; ".join(f"K = {count}: {ms:.2f} ({own[count] / ms:.1f})" for count, ms in plain.items())
    )
    report.figures["plain_ms"] = {str(count): ms for count, ms in plain.items()}
    try:
        inference = inference_ms(size, where)
    except Exception as error:  # aihwkit's, not ours: what was measured of ours stands
        report.lines.append(f"aihwkit's TorchInference, K = 1: not measured: {' '.join(str(error).split())[:100]}")
    else:
        report.figures["inference_ms"] = inference
        report.lines.append(
            f"aihwkit's TorchInference, K = 1: {inference:.2f} ms (ours / it: {own[1] / inference:.1f})"
        )
    if fault := engine_fault():
        report.figures["constant_step"] = fault
        report.lines.append(f"aihwkit's ConstantStep on the CPU: not measured, since {fault}")
        return
    constant, most = compiled_ms(size), size.stacks[-1]
    report.figures["constant_step_ms"] = constant
    report.lines.append(
        f"aihwkit's ConstantStep, one core of this CPU: {constant:.2f} ms per step; ours, per trial of {most}: "
        f"{own[most] / most:.3f} ms, {constant * most / own[most]:.1f} times as many steps per second"
    )
