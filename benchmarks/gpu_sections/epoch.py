"""Section 6: as much of an epoch of the goal's stack as fits, and what 30 epochs of it would take."""

import threading
import time

from gpu_sections.call import Call, Report
from gpu_sections.places import Gpu, place, seconds_into
from gpu_sections.stacks import Training, data, drop, kept, sizes

EPOCHS = 30
# Seconds of the section that are kept for the test, the order, the figures and the checkpoint.
RESERVED_SHARE = 0.5
# Trials of which figures, states and the making of spread cells are timed, and scaled to all.
SOME = 4
# Trials with spread that a thread makes while the stack trains.
BESIDE = 8
SPREAD = "r and l d2d, mismatch"


def run(call: Call, report: Report) -> None:
    """Time a hundred steps after the other, then once each what an epoch has besides; and add it all up."""
    where, size = place(call), sizes(call)
    count = size.stacks[-1]
    with seconds_into(report.figures, "made_s", where):
        training = kept(call, where.device, "noise-free", count)
    made_s = call.figures("correctness").get("making_s", {}).get(f"a stack of {count}", report.figures["made_s"])
    rows = _hundreds(call, training, size.timed if call.rehearse else 100)
    report.figures["hundreds"] = rows
    batches = -(-len(data(size).train_y) // training.batch)
    once: dict[str, float] = {}
    with seconds_into(once, "order_s", where):
        training.run.next_order()
    with seconds_into(once, "test_s", where):
        accuracies = training.run.accuracies(data(size).test_x, data(size).test_y)
    some = min(SOME, count)
    with seconds_into(once, "figures_s", where):
        for k in range(some):
            training.run.stack.figures(k)
    with seconds_into(once, "checkpoint_s", where):
        training.run.states(list(range(some)))
    with seconds_into(once, "making_spread_s"):
        Training(size, SPREAD, some, "cpu")
    beside = _making_beside(call, training, where)
    for name in ("figures_s", "checkpoint_s", "making_spread_s"):
        once[name] *= count / some
    step_ms = rows[-1]["ms"]
    minutes = (made_s + EPOCHS * (batches * step_ms / 1e3 + once["order_s"] + once["test_s"]) + once["figures_s"]) / 60
    report.figures |= {
        "once": once,
        "minutes": minutes,
        "making_s": made_s,
        "beside": beside,
        "accuracy": sum(accuracies) / count,
    }
    report.lines += [
        "; ".join(f"steps to {row['step']}: {row['ms']:.2f} ms, {row['pulses']:.3g} pulses" for row in rows[:3]),
        f"last: to {rows[-1]['step']}: {step_ms:.2f} ms, {rows[-1]['pulses']:.3g} pulses per step of all",
        f"once per epoch: order {once['order_s']:.2f} s, test {once['test_s']:.2f} s; at the end: figures "
        f"{once['figures_s']:.2f} s, states {once['checkpoint_s']:.2f} s; mean accuracy {sum(accuracies) / count:.3f}",
        f"making: {made_s:.0f} s; with spread of r and l and mismatch it would be {once['making_spread_s']:.0f} s",
        f"while a thread makes cells with spread: {beside['ms']:.2f} ms per step, {beside['made_s']:.3f} s per trial",
        f"{count} x {EPOCHS} epochs: {minutes:.1f} min, with making (by the last steps' {step_ms:.2f} ms)",
    ]
    before = where.held_bytes()
    del training
    drop("noise-free", count)
    report.figures["held_bytes"] = before, where.held_bytes()
    report.lines.append(f"memory: {before / 2**30:.1f} GiB with the stack, {where.held_bytes() / 2**30:.1f} after it")


def _making_beside(call: Call, training: Training, where: Gpu) -> dict[str, float]:
    """Milliseconds per step while a thread makes cells with spread, as a worker does, and seconds per trial."""
    many = training.run.stack.trials if call.rehearse else BESIDE
    made: dict[str, float] = {}

    def make() -> None:
        with seconds_into(made, "made_s"):
            Training(sizes(call), SPREAD, many, "cpu")

    thread = threading.Thread(target=make)
    where.wait()
    began, before = time.perf_counter(), training.done
    thread.start()
    while thread.is_alive():
        training.take(1)
    where.wait()
    ms = (time.perf_counter() - began) / max(training.done - before, 1) * 1e3
    return {"ms": ms, "made_s": made["made_s"] / many}


def _hundreds(call: Call, training: Training, many: int) -> list[dict[str, float]]:
    """Milliseconds and pulses per step, for one round of steps after the other."""
    rows: list[dict[str, float]] = []
    reserved = call.section_left() * RESERVED_SHARE
    fired = float(training.counters()[:, :2].sum())
    while not rows or (call.section_left() > reserved and len(rows) < 20):
        began = time.perf_counter()
        training.take(many)
        total = float(training.counters()[:, :2].sum())  # waits
        ms = (time.perf_counter() - began) / many * 1e3
        rows.append({"step": training.done, "ms": ms, "pulses": (total - fired) / many})
        fired = total
    return rows
