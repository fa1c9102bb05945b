"""The tables that are read first: steps beside what was expected before any had run, kernels, and the projection."""

from typing import Any, NamedTuple

from gpu_sections.call import Call
from gpu_sections.places import PULSES


class Expected(NamedTuple):
    """Least and most per step of all stacked trials, before the first run.

    Launches and waits are counted; the host's ms were measured on a CPU without a driver; a step's are those plus
    2.5 us per launch and 25 us per wait, or what the kernels take by their bytes and machine code if that is more.

    Attributes:
        launches, waits: of kernels, and of the host for the GPU; host_ms, ms: of a step that the host starts operation
            by operation; replayed_ms: of one that is started as a whole.
    """

    launches: tuple[float, float]
    waits: tuple[float, float]
    host_ms: tuple[float, float]
    ms: tuple[float, float]
    replayed_ms: tuple[float, float]


EXPECTED = {
    1: Expected((70, 95), (0, 0), (1.3, 1.5), (1.5, 2.0), (0.3, 0.7)),
    16: Expected((70, 95), (0, 0), (1.3, 1.6), (1.5, 2.0), (0.3, 0.8)),
    64: Expected((70, 95), (0, 0), (1.3, 1.8), (1.5, 2.2), (0.5, 1.2)),
    256: Expected((70, 95), (0, 0), (1.3, 2.0), (1.6, 3.5), (1.0, 3.5)),
}
# 256 x 30 epochs, in minutes.
GOAL_MIN = 3.0


def lines(call: Call) -> list[str]:
    """Of what the sections have found."""
    said = []
    if stacks := call.figures("steps").get("stacks", []):
        said += ["", "ms per step of all K trials (expected before any had run; ! more than twice or less than half)"]
        said.append(_row("K", "replayed", "one by one", "host", "GPU busy", "launches", "waits", "per trial"))
        said += [_step(row, None if call.rehearse else EXPECTED.get(row["trials"])) for row in stacks]
    kernels = call.figures("kernels")
    if rows := kernels.get("launches", []):
        said += ["", "our kernels, ms (share of the ceiling that binds)"]
        said += [_kernel(row, share) for row, share in zip(rows, kernels["shares"], strict=True)]
    minutes = call.figures("epoch").get("minutes")
    if minutes is not None and not call.rehearse:
        said += ["", f"256 x 30 epochs: {minutes:.1f} min, making included (goal {GOAL_MIN:g}; expected 1.5 to 4)"]
    return said


def _row(*texts: str) -> str:
    return " ".join(f"{text:>{width}}" for text, width in zip(texts, (4, 18, 18, 16, 9, 16, 14, 10), strict=True))


def _step(row: dict[str, Any], expected: Expected | None) -> str:
    launches, waits, host_ms, ms, replayed_ms = expected or (None,) * 5
    return _row(
        str(row["trials"]), _beside(row["replayed_ms"], replayed_ms), _beside(row["wall_ms"], ms),
        _beside(row["host_ms"], host_ms), f"{row['busy_ms']:.2f}",
        _beside(row["others"] + row["ours"], launches), _beside(sum(row["waits"].values()), waits),
        f"{row['replayed_ms'] / row['trials']:.3f}",
    )  # fmt: skip


def _beside(found: float, expected: tuple[float, float] | None) -> str:
    """What was found, and in brackets what was expected."""
    if expected is None:
        return f"{found:.4g}"
    least, most = expected
    return f"{found:.4g} ({least:g}-{most:g}){'' if least / 2 <= found <= 2 * most else '!'}"


def _kernel(row: dict[str, Any], shares: dict[str, float]) -> str:
    said = [f"K = {row['trials']}, step {row['step']:>4} layer {row['layer']}:"]
    for name in PULSES:
        if f"{name}_ms" in row:
            share = f" ({shares[f'{name}_share']:.0%})" if shares else ""
            said.append(f"{name} {row[f'{name}_ms']:.3f}{share}")
    return " ".join(said)
