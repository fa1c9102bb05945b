"""The tables that are read first: steps beside what was expected before any had run, kernels, and the projection."""

from typing import Any, NamedTuple

from gpu_sections.call import Call


class Expected(NamedTuple):
    """Before the first run, from counts on a CPU and from machine code: per step of all stacked trials.

    Attributes:
        others, ours: launches; waits: of the host for the GPU; ms: least and most.
    """

    others: int
    ours: int
    waits: float
    host_ms: float
    ms: tuple[float, float]


EXPECTED = {
    1: Expected(403, 9, 14.5, 2.5, (3.9, 3.9)),
    16: Expected(469, 9, 14.5, 3.5, (5.0, 5.0)),
    64: Expected(661, 9, 14.5, 6.6, (8.7, 8.7)),
    256: Expected(1429, 9, 14.5, 18.9, (25.0, 29.0)),
}
# 256 x 30 epochs, in minutes.
GOAL_MIN = 3.0


def lines(call: Call) -> list[str]:
    """Of what the sections have found."""
    said = []
    if stacks := call.figures("steps").get("stacks", []):
        said += ["", "ms per step of all K trials (expected before any had run; ! more than twice or less than half)"]
        said.append(_row("K", "wall", "host", "GPU busy", "launches", "waits", "per trial"))
        said += [_step(row, None if call.rehearse else EXPECTED.get(row["trials"])) for row in stacks]
    kernels = call.figures("kernels")
    if rows := kernels.get("launches", []):
        said += ["", "our kernels, ms (share of the ceiling that binds)"]
        said += [_kernel(row, share) for row, share in zip(rows, kernels["shares"], strict=True)]
    minutes = call.figures("epoch").get("minutes")
    if minutes is not None and not call.rehearse:
        said += ["", f"256 x 30 epochs: {minutes:.1f} min, making included (goal {GOAL_MIN:g}; expected 24 to 27)"]
    return said


def _row(*texts: str) -> str:
    return " ".join(f"{text:>{width}}" for text, width in zip(texts, (4, 18, 16, 9, 16, 14, 10), strict=True))


def _step(row: dict[str, Any], expected: Expected | None) -> str:
    ms, host, launches, waits = (
        (expected.ms, (expected.host_ms,) * 2, (expected.others + expected.ours,) * 2, (expected.waits,) * 2)
        if expected
        else (None,) * 4
    )
    return _row(
        str(row["trials"]), _beside(row["wall_ms"], ms), _beside(row["host_ms"], host), f"{row['busy_ms']:.2f}",
        _beside(row["others"] + row["ours"], launches), _beside(sum(row["waits"].values()), waits),
        f"{row['wall_ms'] / row['trials']:.3f}",
    )  # fmt: skip


def _beside(found: float, expected: tuple[float, float] | None) -> str:
    """What was found, and in brackets what was expected."""
    if expected is None:
        return f"{found:.4g}"
    least, most = expected
    range_ = f"{least:g}" if least == most else f"{least:g}-{most:g}"
    return f"{found:.4g} ({range_}){'' if least / 2 <= found <= 2 * most else '!'}"


def _kernel(row: dict[str, Any], shares: dict[str, float]) -> str:
    said = [f"step {row['step']:>4} layer {row['layer']}:"]
    for name in ("draw_lines", "find_cells", "pulse_cells"):
        share = f" ({shares[f'{name}_share']:.0%})" if shares else ""
        said.append(f"{name} {row[f'{name}_ms']:.3f}{share}")
    return " ".join(said)
