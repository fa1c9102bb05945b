"""Printing tables and values for subcommands; on a terminal they fit its width, elsewhere no line is broken."""

import json
import shutil
import sys
import textwrap
from collections.abc import Container, Sequence
from typing import Any

from vcm_sweep.sweep.foreign import printable

_GAP = 2


def show(values: dict[str, Any], as_json: bool) -> None:
    """Print named values, one per line, or as JSON."""
    if as_json:
        print(json.dumps(values))
        return
    # The name of a field is shown as words. Names of folders and factors stay as they are, and no line is broken,
    # because they and commands are there to be copied.
    words = [(name.replace("_", " ") if name.isidentifier() else name, str(text)) for name, text in values.items()]
    print(aligned(words, heads=0, whole_lines=True))


def aligned(
    rows: Sequence[Sequence[str]], right: Container[int] = (), heads: int = 1, whole_lines: bool = False
) -> str:
    """Rows as a text for standard output, with every column as wide as its longest cell, or as the terminal allows.

    Args:
        rows: of equal length. right: columns that are flush right. heads: number of rows at the top that are titles.
        whole_lines: break no cell, whatever the terminal's width.

    >>> print(aligned([("factor", "total"), ("r.d2d.sigma", "0.25"), ("network.lr", "0.1")], right=(1,)))
    factor       total
    r.d2d.sigma   0.25
    network.lr     0.1
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    widths = column_widths(rows, shutil.get_terminal_size().columns if terminal and not whole_lines else None)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for number, width in enumerate(widths):
        table.add_column(justify="right" if number in right else "left", width=width, overflow="fold")
    for number, row in enumerate(rows):
        # Text and not str, because rich would take "[0.1, 0.2]" for markup.
        # What others wrote may hold orders for a terminal.
        told = ("\n".join(map(printable, cell.split("\n"))) for cell in row)
        table.add_row(*(Text(cell, "bold" if number < heads else "") for cell in told))
    console = Console(force_terminal=terminal, force_jupyter=False, width=sum(widths) + _GAP * len(widths))
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def column_widths(rows: Sequence[Sequence[str]], room: int | None = None) -> list[int]:
    """The widths of a table's columns: those of the longest cells; if they do not fit, the widest are narrowed.

    No column becomes narrower than its longest word, so a table of long words may still be wider than ``room``.

    >>> column_widths([["name", "a few words"]]), column_widths([["name", "a few words"]], room=12)
    ([4, 11], [4, 6])
    """
    from rich.cells import cell_len

    columns = list(zip(*rows, strict=True))
    widths = [max(cell_len(line) for cell in column for line in cell.splitlines() or [""]) for column in columns]
    if room is None:
        return widths
    least = [max(cell_len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    room -= _GAP * (len(columns) - 1)
    if sum(least) > room:
        return widths
    while sum(widths) > room:
        widest = max((k for k in range(len(widths)) if widths[k] > least[k]), key=lambda k: widths[k])
        widths[widest] -= 1
    return widths


def prose(*paragraphs: str) -> str:
    """Paragraphs as a text for standard output, wrapped between words on a terminal."""
    lines = [line for paragraph in paragraphs for line in paragraph.split("\n")]
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = [textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in lines]
    return "\n".join(lines)
