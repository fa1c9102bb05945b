"""Units as headers write them, and what turns them into V, A and s."""

import re

_PREFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3}
_WORDS = {
    "volt": "v", "volts": "v", "millivolt": "mv", "millivolts": "mv", "microvolt": "uv", "microvolts": "uv",
    "amp": "a", "amps": "a", "ampere": "a", "amperes": "a", "milliamp": "ma", "milliamps": "ma", "microamp": "ua",
    "microamps": "ua", "nanoamp": "na", "nanoamps": "na", "picoamp": "pa", "picoamps": "pa",
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "msecs": "ms", "millisecond": "ms",
    "milliseconds": "ms", "usec": "us", "usecs": "us", "microsecond": "us", "microseconds": "us", "nsec": "ns",
    "nsecs": "ns", "nanosecond": "ns", "nanoseconds": "ns",
}  # fmt: skip
_TIMES = {
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
# Behind a line, a point or a hyphen: t_d is a delay.
_NAMES_RATHER = frozenset(("h", "d"))
_SUBSCRIPT = r"[-_.]+"
_SURE = r"\s*/\s*", r"\s+in\s+"  # between a name and its unit, beside brackets
_NO_UNIT = re.compile(
    r"(ch|channel|smu|drain|source|top|bottom|set|forced?|meas|measured|raw)?[\s#_]*\d*", re.IGNORECASE
)


def factor_of(unit: str, base: str) -> float | None:
    """What a number in ``unit`` is multiplied by to be in ``base`` (``"V"``, ``"A"``, ``"s"``); None if it is not one.

    Capitals do not count: nothing here is in megavolts.

    >>> factor_of("mA", "A"), factor_of("µs", "s"), factor_of("Volts", "V"), factor_of("mA", "V")
    (0.001, 1e-06, 1.0, None)
    """
    text = unit.strip().lower()
    text = _WORDS.get(text, text)
    if base == "s" and text in _TIMES:
        return _TIMES[text]
    return _PREFIXES.get(text[:-1]) if text[-1:] == base.lower() else None


def is_unit(text: str) -> bool:
    """Whether a text is a unit of a voltage, a current or a time.

    >>> is_unit("(mA)"), is_unit("Voltage")
    (True, False)
    """
    return any(factor_of(text.strip("()[]{} "), base) is not None for base in "VAs")


def has_no_unit(header: str) -> bool:
    """Whether the name of a column says nothing of its unit.

    >>> has_no_unit("Time"), has_no_unit("Time (ms)"), has_no_unit("s")
    (True, False, False)
    """
    return split_name(header)[1] is None and not is_unit(header)


def split_name(header: str) -> tuple[str, str | None]:
    """Name and unit of a header: ``Current (mA)``, ``I [uA]``, ``U / V``, ``current_ma``, ``Time in ms``.

    What stands in brackets is the unit, known or not, unless it names a channel: an unknown one must not be taken for
    V. R writes them as dots: ``Time..ms.``.

    >>> split_name("Current (mA)"), split_name("voltage_v"), split_name("U / V"), split_name("Voltage")
    (('Current', 'mA'), ('voltage', 'v'), ('U', 'V'), ('Voltage', None))
    >>> split_name("Time (d)"), split_name("t_d")
    (('Time', 'd'), ('t_d', None))
    """
    name, unit, _ = _parts(header)
    return name, unit


def unit_is_sure(header: str) -> bool:
    """Whether what :func:`split_name` takes for a unit can be nothing else, by where it stands.

    >>> unit_is_sure("V (S)"), unit_is_sure("V_S")
    (True, False)
    """
    return _parts(header)[2]


def _parts(header: str) -> tuple[str, str | None, bool]:
    text = header.strip().strip("\"'")
    bracket = re.fullmatch(r"(.*?)\s*[(\[{<]\s*([^)\]}>]*?)\s*[)\]}>]\s*", text)
    if bracket:
        return bracket[1].strip(), None if _NO_UNIT.fullmatch(bracket[2]) else bracket[2], True
    for separator in (*_SURE, r"\s*,\s*", r"\s+", _SUBSCRIPT):
        found = re.fullmatch(rf"(.+){separator}([^\s._-]+)\.*", text)
        rather_name = separator == _SUBSCRIPT and found and found[2].lower() in _NAMES_RATHER
        if found and is_unit(found[2]) and not rather_name:
            return found[1].strip(), found[2], separator in _SURE
    return text, None, False
