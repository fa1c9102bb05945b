"""Section 3: our kernels, each by itself, on the vectors and cells of real steps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from gpu_sections.call import Call, Report
from gpu_sections.launches import Watched
from gpu_sections.places import PULSES, Gpu, place, why_no_kernels
from gpu_sections.products import products
from gpu_sections.stacks import Training, kept, sizes
from vcm_sweep.device.array.pulsing import Batch
from vcm_sweep.device.kernels.gpu import update

# Cells that differ in nothing are pulsed by tables, others by their equations.
PULSING = ("pulse_cells", "solve_pulses")
# Single pulses take Triton's interpreter too long: in a rehearsal those of a sample are one longer pulse.
DIFFERING, REHEARSED = "all that differs", "r and l d2d, mismatch"


def run(call: Call, report: Report) -> None:
    """Train the goal's stack, and at some steps fire its pulses again and again with the state put back."""
    where = place(call)
    if broken := why_no_kernels(where):
        if not call.rehearse:
            raise RuntimeError(f"Triton's kernels do not run: {broken}")
        report.lines.append(f"not rehearsed, since Triton's interpreter fails here: {broken}")
        return
    if call.rehearse:
        update.CELLS_MARCHED, update.GROUPS = 4096, 1  # the interpreter pays per operation, not per lane
    size = sizes(call)
    training = kept(call, where.device, "noise-free", size.stacks[-1])
    rows = []
    for step in size.captured:
        _take_until(training, step, where, call)
        with _measured(training, where, size.repeats) as found:
            training.take(1)
        rows += [_row(training, layer, figures) for layer, figures in enumerate(found)]
        report.figures |= {"launches": rows}
        if training.done <= step:
            report.lines.append(f"step {step} was not reached in time: measured at step {training.done - 1}")
            break
    # Making cells that differ takes a core half a second a trial, so there are few.
    if call.section_left() > 15 or call.rehearse:
        device = REHEARSED if call.rehearse else DIFFERING
        rows += _differing(Training(size, device, min(size.stacks[1], 16), where.device), where, size.repeats)
    report.figures["products"] = read = products(training, where, size.repeats)
    said = ", ".join(f"{row['ms']:.3f}{' (back)' if row['back'] else ''}" for row in read)
    report.lines.append(f"{size_of(training)} trials, analog products of a step: {said} ms")
    report.figures["shares"] = [_shares(row, call.figures("ceilings")) for row in rows]
    report.lines += _summary(rows)
    report.checks["a trial of the stack gets the bits that it gets alone"] = _alone(call, training, where)


def _row(training: Training, layer: int, figures: dict[str, Any]) -> dict[str, Any]:
    pulsing = next(name for name in PULSING if f"{name}_ms" in figures)
    return {"trials": size_of(training), "pulsing": pulsing, "step": training.done - 1, "layer": layer, **figures}


def _differing(training: Training, where: Gpu, repeats: int) -> list[dict[str, Any]]:
    """The same of the second step of a stack whose cells are solved from their equations."""
    training.take(1)
    where.wait()
    with _measured(training, where, repeats) as found:
        training.take(1)
    return [_row(training, layer, figures) for layer, figures in enumerate(found)]


def _take_until(training: Training, step: int, where: Gpu, call: Call) -> None:
    """Steps up to the given one, or for as long as leaves half of the section's time."""
    enough = call.section_left() / 2
    while training.done < step and call.section_left() > enough:
        training.take(min(20, step - training.done))
        where.wait()


@contextmanager
def _measured(training: Training, where: Gpu, repeats: int) -> Iterator[list[dict[str, Any]]]:
    """Within it every layer's pulses are fired again and again before they are fired for good."""
    found: list[dict[str, Any]] = [{} for _ in training.arrays()]
    with ExitStack() as patches:
        patches.enter_context(training.one_by_one())
        for layer, cells in enumerate(training.arrays()):
            fire = cells.pulse

            def fired(*arguments: Any, layer: int = layer, cells: Any = cells, fire: Any = fire) -> None:
                found[layer] = _layer(cells, arguments, where, repeats)
                fire(*arguments)

            patches.enter_context(mock.patch.object(cells, "pulse", fired))
        yield found


def _layer(cells: Any, arguments: tuple[Any, ...], where: Gpu, repeats: int) -> dict[str, Any]:
    """Milliseconds and work of each kernel for one layer's update; its state is put back."""
    before = {name: buffer.clone() for name, buffer in cells.named_buffers()}
    watched = {name: Watched(getattr(update, name), where) for name in PULSES}
    with ExitStack() as patches:
        for name, kernel in watched.items():
            patches.enter_context(mock.patch.object(update, name, kernel))
        for _ in range(repeats + 1):
            for name, values in before.items():
                cells.get_buffer(name).copy_(values)
            cells.on_device().fire(Batch(*arguments))
    pulses = (cells.counters - before["counters"])[:, :2].sum().item()
    fired = {name: kernel for name, kernel in watched.items() if kernel.spans}
    figures = {f"{name}_ms": kernel.median_ms() for name, kernel in fired.items()}
    for name in PULSING:
        if name in fired:
            figures |= {"pulses": pulses, **_work(name, fired[name].arguments)}
    for name, values in before.items():
        cells.get_buffer(name).copy_(values)
    return figures


def _work(name: str, given: dict[str, Any]) -> dict[str, float]:
    """Visited cells, visits, turns of the loop over visits, tests of a column, and bytes that each kernel must move.

    A visit is a sample that pulses a cell. The lanes of a warp take turns together, so a warp takes as many as its
    lane with the most visits, if a visit is one turn, as it is without walks.
    """
    rows, columns, listed, counts = (given[name] for name in ("rows", "columns", "listed", "counts"))
    lanes = update.CELLS_MARCHED
    visits = turns = tests = 0
    fires = rows != 0
    for k in range(len(rows)):
        tests += fires[k].sum() * columns.shape[-1]
        each = ((rows[k][:, :, None] & columns[k][:, None, :]) != 0).sum(0).flatten()
        there = torch.arange(listed.shape[-1], device=listed.device) < counts[k][:, None]
        listed_visits = torch.where(there, each[torch.where(there, listed[k].long(), 0)], 0)
        visits += each.sum()
        whole = torch.nn.functional.pad(listed_visits, (0, -listed.shape[-1] % lanes))
        turns += whole.view(len(whole), -1, lanes).amax(-1).sum()
    cells = counts.sum().item()
    per_cell = sum(
        values.element_size() * (2 if argument in ("log_n", "weight") else 1)
        for argument, values in given.items()
        if isinstance(values, torch.Tensor) and values.numel() == given["weight"].numel()
    )
    # Columns are drawn, and looked at, in samples in which a row fires.
    lines = _bytes(rows) + int(_bytes(columns) * fires.any(-1).double().mean())
    vectors = _bytes(given["x"], given["d"])
    return {
        "cells": cells, "visits": float(visits), "turns": float(turns), "tests": float(tests),
        "draw_lines_bytes": lines + vectors, "find_cells_bytes": lines + 4 * cells,
        f"{name}_bytes": lines + vectors + per_cell * cells,
    }  # fmt: skip


def _bytes(*tensors: torch.Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _shares(row: dict[str, Any], best: dict[str, float]) -> dict[str, float]:
    """What share of the ceiling that binds each kernel reaches; empty where section 2 has not found the ceilings."""
    bandwidth, pairs = best.get("copy_gb_s"), best.get("exp_log_fp64_per_s")
    if not bandwidth or not pairs:
        return {}
    least = {name: row[f"{name}_bytes"] / bandwidth / 1e6 for name in PULSES if f"{name}_ms" in row}
    for name in PULSING:
        if name in least:
            # A visit takes one exponential and one logarithm in double precision, or more.
            least[name] = max(least[name], row["visits"] / pairs * 1e3)
    return {f"{name}_share": value / row[f"{name}_ms"] for name, value in least.items()}


def _summary(rows: list[dict[str, Any]]) -> list[str]:
    """A line per step: the kernels' times over all layers, and their work."""
    lines = []
    keys = ("trials", "pulsing", "step")
    for key in dict.fromkeys(tuple(row[name] for name in keys) for row in rows):
        own = [row for row in rows if tuple(row[name] for name in keys) == key]
        total = {name: sum(row[name] for row in own) for name in own[0] if name not in (*keys, "layer")}
        trials, pulsing, step = key
        lines.append(
            f"{trials} trials, step {step}: draw {total['draw_lines_ms']:.3f}, find {total['find_cells_ms']:.3f}, "
            f"{pulsing} {total[f'{pulsing}_ms']:.3f} ms over all layers; {total['pulses']:.3g} pulses in "
            f"{total['visits']:.3g} visits of {total['cells']:.3g} cells, {total['turns']:.3g} turns, "
            f"{total['tests']:.3g} tests"
        )
    return lines


def _alone(call: Call, training: Training, where: Gpu) -> str:
    """Why the last trial of the stack does not get the same bits in a stack of its own; "" if it does."""
    size, last = sizes(call), size_of(training) - 1
    alone = Training(size, "noise-free", 1, where.device, first_seed=1 + last)
    for cells, own in zip(training.arrays(), alone.arrays(), strict=True):
        own.load_state(0, cells.state(last))
    seen: list[Batch] = []
    with ExitStack() as patches:
        patches.enter_context(training.one_by_one())
        for cells in training.arrays():
            patches.enter_context(mock.patch.object(cells, "pulse", lambda *given: seen.append(Batch(*given))))
        training.take(1)
    # The backward pass comes to the layers in no order that is promised here: they are told apart by their sizes.
    for cells, own in zip(training.arrays(), alone.arrays(), strict=True):
        batch = next(b for b in seen if (b.x.shape[-1], b.d.shape[-1]) == (cells.in_size, cells.out_size))
        cells.on_device().fire(batch)
        of_last = {name: getattr(batch, name)[last:] for name in ("x", "d", "learning_rates", "streams")}
        own.on_device().fire(batch._replace(**of_last))
        for name in ("log_n", "weight", "counters"):
            differ = cells.get_buffer(name)[last] != own.get_buffer(name)[0]
            if name == "counters":  # summed in another order
                differ = differ[:2]
            if differ.any():
                return f"{int(differ.sum())} values of {name} differ in a layer of {cells.out_size} x {cells.in_size}"
    return ""


def size_of(training: Training) -> int:
    """Number of stacked trials."""
    return len(training.rates)
