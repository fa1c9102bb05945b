"""Rows and header of a text file: which lines are the table, what separates its cells, and its decimal mark.

The separator and the decimal mark are those with which most lines hold the same number, two or more, of numbers. A
header is a line of words before the rows that has as many cells, commented out or not; a line of units may follow it.
What stands before and behind (an instrument's settings, with numbers in them too) and what does not look like a row
between (a heading of the next cycle, a repeated header) is not part of the table.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.units import is_unit

COMMENTS = ("#", "%", "!", "//")
NO_READING = {
    "", "-", "--", "---", "----", "nan", "-nan", "inf", "+inf", "-inf", "n/a", "#n/a", "na", "none", "null", "overflow",
    "ovrflw", "ovfl", "over", "overload", "#nan", "1.#inf", "1.#qnan", "-1.#ind",
}  # fmt: skip
_SEPARATORS = ("\t", ";", ",", "|", "")  # the last: blanks
_BEGIN = "+-.0123456789"  # of a number
_SETTINGS = 4  # so many lines before a header may look like rows
_SAMPLE = 400  # lines from which separator and decimal mark are found


@dataclass(frozen=True)
class Table:
    """The rows of a text file.

    Attributes:
        headers: what may be the names of the columns, with units if there are some, the nearest to the rows first.
        lines: (rows,), the line of each row as an editor counts them.
        rows: (rows,), the cells of each row, stripped, with a decimal point.
        breaks: rows before which words stand, such as the heading of another cycle.
        behind: the first line of what stands behind the table and has numbers, if something does: its number and text.
    """

    headers: list[tuple[str, ...]]
    lines: list[int]
    rows: list[list[str]]
    breaks: list[int]
    behind: tuple[int, str] | None = None

    def names(self) -> str:
        """The names of its columns, in words."""
        return ", ".join(map(repr, self.headers[0])) if self.headers else f"no header, {len(self.rows[0])} columns"


def table_of(text: str, progress: Callable[[str], None] | None = None) -> Table:
    """The table in a text; ``progress`` is told now and then how many rows have been read.

    Raises:
        DeviceError: no table is found, or a row has another number of cells than the others.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    separator, comma, width, filled = _layout([line for _, line in lines if not _is_comment(line)])
    numbers: list[int] = []
    rows: list[list[str]] = []
    breaks: list[int] = []
    before: list[str] = []
    spoilt: tuple[int, str] | None = None
    between: list[tuple[int, str]] = []
    behind = None
    for place, (number, line) in enumerate(lines):
        if _is_comment(line):
            if not rows:
                before.append(line)
                spoilt = None
            continue
        cells = _cells(line, separator, comma)
        if not any(cells):
            continue  # a spreadsheet's blank line
        # A row of which nothing could be read is one, whatever its words begin with.
        unread = len(cells) == width and all(cell.lower() in NO_READING for cell in cells)
        _refuse_thousands(number, line, separator, comma)
        if not rows and (_filled(cells) < filled or len(cells) != width):
            before.append(line)
            # With this many numbers it is no header.
            like_row = len(cells) == width and sum(map(is_number, cells)) >= 2
            spoilt = (number, next(cell for cell in cells if not is_number(cell))) if like_row else None
        elif not any(map(is_number, cells)) and line.lstrip()[0] not in _BEGIN and not unread:
            between.append((number, line))
            if len(rows) <= _SETTINGS and len(cells) == width:  # the header: what looked like rows were settings
                before += [text for _, text in lines[: place + 1] if text not in before]
                numbers, rows, breaks, between = [], [], [], []
        elif between and not _goes_on(lines[place:], separator, comma, width, filled):
            behind = between[0]
            break
        elif between and len(cells) != width and _filled(cells) < filled:
            between.append((number, line))  # a setting of the next record
        elif len(cells) != width:
            raise DeviceError(
                f"line {number} has {len(cells)} values, the others {width}: separate them as in the other lines"
            )
        else:
            if spoilt:
                raise DeviceError(f"line {spoilt[0]}: {spoilt[1]!r} is no number: correct or remove its row")
            if between:
                breaks.append(len(rows))
                between = []
            numbers.append(number)
            rows.append(cells)
            if progress and len(rows) % 50_000 == 0:
                progress(f"{len(rows)} rows")
    if not rows:
        raise DeviceError(
            "it has no rows of numbers: give a table with a header and one line per reading" + _why(lines)
        )
    return Table(_headers(before, separator, width), numbers, rows, breaks, behind)


def _goes_on(lines: Sequence[tuple[int, str]], separator: str, comma: bool, width: int, filled: int) -> bool:
    """Whether one of these lines is a row of the table."""
    rows = (_cells(line, separator, comma) for _, line in lines if not _is_comment(line))
    return any(len(cells) == width and _filled(cells) >= filled for cells in rows)


def _why(lines: Sequence[tuple[int, str]]) -> str:
    """Why there may be no rows: numbers with their units, as in ``0.1 V,3 uA``."""
    for number, line in lines:
        if len(re.findall(r"\d\s?[fpnuµmk]?[VAs]\b", line)) >= 2:
            return f"; line {number} is {line.strip()[:40]!r}: units belong into the header"
    return ""


def _refuse_thousands(number: int, line: str, separator: str, comma: bool) -> None:
    mixed = "." in line and "," in line and (separator != "," or '"' in line)
    if mixed and any(_is_ambiguous(cell, comma) for cell in _cells(line, separator, False)):
        raise DeviceError(f"line {number} has both . and , in its numbers: write them without marks of thousands")


def _is_ambiguous(cell: str, comma: bool) -> bool:
    """Whether a cell as it is written holds a mark of thousands, or a decimal point among decimal commas."""
    return bool(_THOUSANDS.fullmatch(cell)) or (comma and "." in cell and is_number(cell))


def is_number(cell: str) -> bool:
    """Whether a cell holds a number.

    >>> is_number("1e-6"), is_number("9.91E+37"), is_number("A"), is_number("nan")
    (True, True, False, False)
    """
    return bool(_NUMBER.fullmatch(cell))


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:(?:\.\d{3})+,|(?:,\d{3})+\.)\d+(?:[eE][+-]?\d+)?")


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENTS)


def _cells(line: str, separator: str, comma: bool) -> list[str]:
    if not separator:
        cells = line.split()
    elif '"' in line:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
    else:
        cells = [cell.strip() for cell in line.split(separator)]
    return [cell.replace(",", ".") for cell in cells] if comma else cells


def _filled(cells: list[str]) -> int:
    """The number of cells that hold a number or stand for one."""
    return sum(is_number(cell) or cell.lower() in NO_READING for cell in cells)


def _layout(lines: list[str]) -> tuple[str, bool, int, int]:
    """(separator, decimal comma, cells of a row, numbers in it) with which equal rows hold most numbers."""
    step = max(len(lines) // _SAMPLE, 1)
    sample = lines[: _SAMPLE // 2] + lines[_SAMPLE // 2 :: step]
    best, most = ("", False, 0, 2), (0, 0)
    for separator in _SEPARATORS:
        for comma in (False, True) if separator != "," else (False,):
            rows = [cells for line in sample if sum(map(is_number, cells := _cells(line, separator, comma))) >= 2]
            if not rows:
                continue
            width = Counter(map(len, rows)).most_common(1)[0][0]
            counts = [_filled(cells) for cells in rows if len(cells) == width]
            # Of as many numbers those with fewer cells that are none.
            if (found := (sum(counts), sum(counts) - width * len(counts))) > most:
                most = found
                best = (separator, comma, width, Counter(counts).most_common(1)[0][0])
    return best


def _headers(before: list[str], separator: str, width: int) -> list[tuple[str, ...]]:
    """The lines of words before the rows that name as many columns, the last first, with units from a line below."""
    found: list[tuple[str, ...]] = []
    units: tuple[str, ...] = ()
    for line in reversed(before):
        bare = line.lstrip().lstrip("".join(COMMENTS)).strip() if _is_comment(line) else line
        for names in _splits(bare, separator):
            while len(names) > width and not names[-1]:
                names.pop()
            if len(names) != width or any(map(is_number, names)):
                continue
            if not units and sum(map(is_unit, names)) >= 2 and all(is_unit(name) for name in names if name.strip("-")):
                units = tuple(name.strip("()[]{} -") for name in names)
            elif units:
                pairs = zip(names, units, strict=True)
                found.append(tuple(f"{name} ({unit})" if unit else name for name, unit in pairs))
            else:
                found.append(tuple(names))
            break
    return [*found, units] if units else found


def _splits(line: str, separator: str) -> Iterator[list[str]]:
    """A header's names by the separator of the rows and by others: a program may write the two differently."""
    seen = list(dict.fromkeys((separator or None, "\t", ";", ",", "|", "  ")))
    for mark in seen:
        if mark and mark in line:
            names = re.split(r"\s{2,}", line.strip()) if mark == "  " else line.split(mark)
            yield [name.strip().strip('"') for name in names]
    # Words, with a unit in brackets after a blank kept at its name.
    yield [name.strip('"') for name in re.sub(r"\s+(?=[(\[])|\s+/\s+", "/", line).split()]
