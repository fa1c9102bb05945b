"""Units as headers write them, and what turns them into V, A and s."""

import re

_PREFIXES = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3}
_WORDS = {
    "volt": "v", "volts": "v", "amp": "a", "amps": "a", "ampere": "a", "amperes": "a", "sec": "s", "secs": "s",
    "second": "s", "seconds": "s", "msec": "ms", "usec": "us", "millivolt": "mv", "millivolts": "mv",
    "milliseconds": "ms", "microseconds": "us", "milliamps": "ma", "microamps": "ua", "nanoamps": "na",
}  # fmt: skip
_TIMES = {"min": 60.0, "minutes": 60.0, "h": 3600.0, "hours": 3600.0}


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


def split_name(header: str) -> tuple[str, str | None]:
    """Name and unit of a header: ``Current (mA)``, ``I [uA]``, ``U / V``, ``current_ma``, ``Time in ms``.

    >>> split_name("Current (mA)"), split_name("voltage_v"), split_name("U / V"), split_name("Voltage")
    (('Current', 'mA'), ('voltage', 'v'), ('U', 'V'), ('Voltage', None))
    """
    text = header.strip().strip("\"'")
    bracket = re.fullmatch(r"(.*?)\s*[(\[{<]\s*([^)\]}>]*?)\s*[)\]}>]\s*", text)
    if bracket:
        return bracket[1].strip(), bracket[2] if is_unit(bracket[2]) else None
    for separator in (r"\s*/\s*", r"\s+in\s+", r"\s*,\s*", r"\s+", r"_"):
        found = re.fullmatch(rf"(.+?){separator}(\S+)", text)
        if found and is_unit(found[2]):
            return found[1].strip(), found[2]
    return text, None
