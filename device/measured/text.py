"""The text of a file, whatever its encoding."""

from pathlib import Path

from vcm_sweep.device.errors import DeviceError

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_LARGEST = 100e6  # bytes: two to four million rows, which take a few gigabytes while they are read


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or Latin-1, as instruments and spreadsheets write it.

    Raises:
        DeviceError: the file cannot be opened, is too large, or holds no text.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise DeviceError(
                f"{size / 1e6:.0f} MB are too much to read, at most {_LARGEST / 1e6:.0f}: keep fewer rows"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise DeviceError(f"cannot be read ({error.strerror or type(error).__name__}): give a text file") from None
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None) or _unmarked(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if sum(not (c.isprintable() or c.isspace()) for c in text[:4096]) > len(text[:4096]) // 50:
        raise DeviceError("cannot be read: it is no text (a spreadsheet? save it as CSV)")
    return text


def _unmarked(raw: bytes) -> str:
    """UTF-16 without a mark has a zero in every other byte of plain text; all else is tried as UTF-8."""
    head = raw[:2048]
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if head and head[first::2].count(0) > 0.4 * len(head) / 2 and head[1 - first :: 2].count(0) == 0:
            return encoding
    return "utf-8"
