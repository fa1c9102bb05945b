"""What others wrote and may be anything: JSON that is refused where it could not be worked with, text that is shown."""

import json
import unicodedata
from typing import Any

_DEEPEST = 50
# Whole numbers that every reader of JSON has; longer ones are in no file of ours.
_LARGEST = 2**53


def parse_json(content: bytes) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: it is none, it is nested more than 50 deep, or it has text that no file could hold.

    >>> parse_json(b'{"done": 3}')
    {'done': 3}
    """
    try:
        found = json.loads(content.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    level = [found]
    for _ in range(_DEEPEST):
        inner = (own.values() if isinstance(own, dict) else own for own in level if isinstance(own, dict | list))
        level = [value for values in inner for value in values]
    if level:
        raise ValueError("nested too deep")
    # Halves of characters, which JSON can name, can be written nowhere: that is a ValueError as well.
    json.dumps(found, ensure_ascii=False).encode()
    return found


def whole(value: object, least: int = 0) -> int:
    """A whole number of a file; ValueError for what is none, or is less than ``least``, or has more than 53 bits.

    >>> whole(3)
    3
    """
    if type(value) is not int or not least <= value < _LARGEST:
        raise ValueError(f"{str(value)[:40]} is no whole number of {least} or more")
    return value


def printable(text: str) -> str:
    """A text for a terminal, in which no character gives the terminal an order; each stays on its line.

    >>> printable("\\x1b[2Jdone\\r")
    '\\\\x1b[2Jdone\\\\r'
    """
    return "".join(
        repr(char)[1:-1] if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text
    )
