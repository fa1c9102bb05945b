"""The pages of a Parquet file, as they say of themselves what they unpack to.

The footer of a file says the same, but nothing holds a reader to it: a file of some kilobytes may unpack to gigabytes,
whatever its footer says.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
from pyarrow import NativeFile

# Of parquet.thrift: what values are written as. The others, which we never write, let a value repeat the one before it.
_PLAIN = (0, 2, 3, 8)
_DICTIONARY = 2
# By the number of a page's kind: the field of its header that is of this kind alone, and there that of the encoding.
_OWN: dict[Any, tuple[int, int]] = {0: (5, 2), _DICTIONARY: (7, 2), 3: (8, 4)}
_LONGEST_HEADER, _DEEPEST = 1 << 16, 8
_VALUE_BYTES = 8


@dataclass(frozen=True)
class Page:
    """A page of a column.

    Attributes:
        column: its path, with dots. bytes: that it takes unpacked, its values no less than eight bytes each.
        dictionary: whether it holds the values that later pages of the column name by number.
    """

    column: str
    bytes: int
    dictionary: bool


def pages(file: pq.ParquetFile, source: NativeFile, columns: Collection[str], believed: bool) -> Iterator[Page]:
    """The pages of some columns, which are named without what is nested in them.

    Args:
        file: with its footer. source: its bytes. believed: take each column for one page that is as the footer says,
            which costs no look at the pages.

    Raises:
        ValueError: there is something else where a page should be.
    """
    footer = file.metadata
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            path = str(chunk.path_in_schema)
            if path.partition(".")[0] not in columns:
                continue
            first = chunk.dictionary_page_offset
            if believed:
                yield Page(path, max(chunk.total_uncompressed_size, _VALUE_BYTES * chunk.num_values), first is not None)
                continue
            at = min(chunk.data_page_offset, first) if first else chunk.data_page_offset
            end = at + chunk.total_compressed_size
            while at < end:
                page, at = _page(source, path, at)
                yield page


def _page(source: NativeFile, path: str, at: int) -> tuple[Page, int]:
    """(the page at a place, where the next one is)."""
    source.seek(at)
    head = source.read(256)
    try:
        plain, size = _struct(head, 0, 0)
    except IndexError:
        head += source.read(_LONGEST_HEADER)
        try:
            plain, size = _struct(head, 0, 0)
        except IndexError:
            raise ValueError(f"{path} has a page without an end") from None
    kind, unpacked, packed = (plain.get(field) for field in (1, 2, 3))
    own, encoding = _OWN.get(kind, (0, 0))
    inner = plain.get(own)
    if not (isinstance(unpacked, int) and isinstance(packed, int) and isinstance(inner, dict)):
        raise ValueError(f"{path} has something else where a page should be")
    values, written = inner.get(1), inner.get(encoding)
    if unpacked < 0 or packed < 0 or not isinstance(values, int) or written not in _PLAIN:
        raise ValueError(f"{path} has a page as no vcm-sweep writes one")
    return Page(path, max(unpacked, _VALUE_BYTES * values), kind == _DICTIONARY), at + size + packed


def _struct(head: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """(fields by number, where it ends) of a struct in Thrift's compact protocol; IndexError where that is cut off."""
    if depth > _DEEPEST:
        raise ValueError("a page is nested too deep")
    fields: dict[int, Any] = {}
    number = 0
    while head[at]:
        step, kind = head[at] >> 4, head[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _whole(head, at)
        fields[number], at = _value(head, at, kind, depth)
    return fields, at + 1


def _value(head: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    match kind:
        case 1 | 2:  # true, false
            return kind == 1, at
        case 3:  # a byte
            return head[at], at + 1
        case 4 | 5 | 6:  # whole numbers
            return _whole(head, at)
        case 7:  # a double
            return None, at + 8
        case 8:  # bytes
            length, at = _unsigned(head, at)
            return None, at + length
        case 12:
            return _struct(head, at, depth + 1)
    raise ValueError("a page has a field of no kind that pages have")


def _whole(head: bytes, at: int) -> tuple[int, int]:
    found, at = _unsigned(head, at)
    return (found >> 1) ^ -(found & 1), at


def _unsigned(head: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = head[at]
        at += 1
        found |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return found, at
