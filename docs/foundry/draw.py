"""Draw docs/foundry/tolerances.svg and print the table of the specification: ``python docs/foundry/draw.py``."""

import json
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

HERE = Path(__file__).parent


def rows() -> list[dict[str, Any]]:
    """What the search found, a row per end of a range that the accuracy limits or that is reached."""
    found: list[dict[str, Any]] = json.loads((HERE / "tolerance/one.json").read_text(encoding="utf-8"))["rows"]
    return found


def table() -> str:
    """The specification in Markdown: what may be signed, and between what the true limit is."""
    lines = [
        "| nonideality | may be at most | true limit, 95 % | accuracy there, 16 fresh seeds, % |",
        "|---|---|---|---|",
    ]
    for row in rows():
        reached = row["limited_by"] != "accuracy"
        sign = "at least" if row["end"] == "low" else ""
        limit = f"beyond {row['value']:.2g}" if reached else f"{row['low']:.2g} to {row['high']:.2g}"
        accuracy = [100 * row["accuracy"][key] for key in ("value", "low", "high")]
        lines.append(
            f"| `{row['factor']}` | {sign} {row['value']:.2g} ".replace("|  ", "| ")
            + f"| {limit} | {accuracy[0]:.1f} [{accuracy[1]:.1f}, {accuracy[2]:.1f}] |"
        )
    return "\n".join(lines) + "\n"


def draw() -> Figure:
    """Each tolerance as a part of its range: dot what to sign, line its interval."""
    figure = Figure(figsize=(7.0, 2.4), layout="constrained")
    axes = figure.subplots()
    shown = rows()[::-1]
    for height, row in enumerate(shown):
        way = row["value"] / row["share"]
        axes.plot([row["low"] / way, row["high"] / way], [height, height], color="#8a8a8a", linewidth=3)
        axes.plot(row["share"], height, "o", color="#0072b2")
    axes.set_yticks(range(len(shown)), [f"{row['factor']}, {row['end']} end" for row in shown])
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("part of the range; dot: what to sign, line: where the true limit is")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vcm-sweep", "font.size": 8}):
        draw().savefig(HERE / "tolerances.svg", metadata={"Date": None})
    print(table())
