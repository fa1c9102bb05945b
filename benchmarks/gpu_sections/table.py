"""The tables that are read first: steps beside what was expected before any had run, kernels, and the projection."""

from typing import Any, NamedTuple

from gpu_sections.call import Call


class Expected(NamedTuple):
    """Before the first run, from counts on a CPU and from machine code: per step of all stacked trials.

    Attributes:
        others, ours: launches; waits, copies: of the host for the GPU; ms: least and most.
    """

    others: int
    ours: int
    waits: float
    copies: int
    host_ms: float
    ms: tuple[float, float]


EXPECTED = {
    1: Expected(403, 9, 11.5, 3, 2.5, (3.9, 3.9)),
    16: Expected(469, 9, 11.5, 3, 3.5, (5.0, 5.0)),
    64: Expected(661, 9, 11.5, 3, 6.6, (8.7, 8.7)),
    256: Expected(1429, 9, 11.5, 3, 18.9, (25.0, 29.0)),
}
# 256 x 30 epochs, in minutes.
GOAL_MIN = 3.0


def lines(call: Call) -> list[str]:
    """Of what the sections have found."""
    said = []
    if stacks := call.figures("steps").get("stacks", []):
        said += ["", "ms per step of all K trials; in brackets what was expected before any had run"]
        said.append(f"{'K':>4} {'wall':>18} {'host':>14} {'busy':>8} {'launches':>14} {'waits':>12} {'per trial':>10}")
        said += [_step(row) for row in stacks]
    kernels = call.figures("kernels")
    rows, shares = kernels.get("launches", []), kernels.get("shares", [])
    if rows:
        said += ["", "our kernels, ms (share of the ceiling that binds)"]
        said += [_kernel(row, share) for row, share in zip(rows, shares, strict=True)]
    minutes = call.figures("epoch").get("minutes")
    if minutes is not None and not call.rehearse:
        said += ["", f"256 x 30 epochs: {minutes:.1f} min, making included (goal {GOAL_MIN:g}; expected 24 to 27)"]
    return said


def _step(row: dict[str, Any]) -> str:
    expected = EXPECTED.get(row["trials"])
    wall, host, launches, waits = "", "", "", ""
    if expected:
        least, most = expected.ms
        wall = f" ({least:g})" if least == most else f" ({least:g}-{most:g})"
        host, launches = f" ({expected.host_ms:g})", f" ({expected.others + expected.ours})"
        waits = f" ({expected.waits + expected.copies:g})"
    count = row["trials"]
    columns = (
        (f"{count}", 4), (f"{row['wall_ms']:.2f}{wall}", 18), (f"{row['host_ms']:.2f}{host}", 14),
        (f"{row['busy_ms']:.2f}", 8), (f"{row['others'] + row['ours']:.0f}{launches}", 14),
        (f"{sum(row['waits'].values()):.0f}{waits}", 12), (f"{row['wall_ms'] / count:.3f}", 10),
    )  # fmt: skip
    return " ".join(f"{text:>{width}}" for text, width in columns)


def _kernel(row: dict[str, Any], shares: dict[str, float]) -> str:
    said = [f"step {row['step']:>4} layer {row['layer']}:"]
    for name in ("draw_lines", "find_cells", "pulse_cells"):
        share = f" ({shares[f'{name}_share']:.0%})" if shares else ""
        said.append(f"{name} {row[f'{name}_ms']:.3f}{share}")
    return " ".join(said)
