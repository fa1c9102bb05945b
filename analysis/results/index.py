"""`Index`, one number of an analysis with its interval, and `Difference`, the difference of two."""

import math
from dataclasses import dataclass, replace
from typing import Any


def two_digits(value: float) -> str:
    """A number of which two digits are known, whole from 10 on.

    >>> two_digits(1.234), two_digits(34.56), two_digits(119.6)
    ('1.2', '35', '120')
    """
    return f"{value:.2g}" if abs(value) < 9.95 else f"{value:.0f}"


@dataclass(frozen=True)
class Index:
    """A sensitivity index of one factor or pair of factors, with its interval; never clipped to [0, 1].

    Args:
        factor: the factor or group. partner: the other one of a pair, else "".
        value, low, high: the estimate and its interval.
        floor: training noise or few rows make some estimates positive even where there is no effect. In 97.5 % of
            studies like this one, the index of a factor without effect stays below the floor. 0 for all other indices.
        missed: by how much the interval reaches higher because the method's model of the output leaves a share of the
            variance unexplained, all of which may be this index's; ``value`` is then what the model explains. 0 where
            there is no model.
    """

    factor: str
    value: float
    low: float
    high: float
    partner: str = ""
    floor: float = 0.0
    missed: float = 0.0

    @property
    def name(self) -> str:
        """The factor's name, or both names of a pair."""
        return f"{self.factor} × {self.partner}" if self.partner else self.factor

    @property
    def includes_zero(self) -> bool:
        """Whether the data are compatible with no effect at all."""
        return self.low <= 0.0 or self.value <= self.floor

    def percent(self) -> str:
        """The index as people read a share, with more decimals where its interval is narrow.

        >>> Index("r.d2d.sigma", 0.714, 0.66, 0.76).percent(), Index("nominal", 0.9312, 0.9271, 0.9353).percent()
        ('71 % [66, 76]', '93.1 % [92.7, 93.5]')
        """
        if math.isnan(self.value):
            return "not measured"
        numbers = [100 * v for v in (self.value, self.low, self.high)]
        width = numbers[2] - numbers[1]
        digits = 2 if 0.0 < width < 0.2 else 1 if 0.0 < width < 2.0 or max(map(abs, numbers)) < 10.0 else 0
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        value, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in numbers)
        return f"{value} % [{low}, {high}]"

    def points(self) -> str:
        """A difference of shares as people read it, with as many decimals as its interval carries.

        >>> Index("r.d2d.sigma", 0.0412, 0.036, 0.0461).points(), Index("l", 0.23, -0.24, 0.83).points()
        ('4.1 points [3.6, 4.6]', '23 points [-24, 83]')
        """
        if math.isnan(self.value):
            return "not measured"
        values = [100 * v for v in (self.value, self.low, self.high)]
        width = values[2] - values[1]
        digits = 0 if width >= 20.0 else 1 if width >= 0.2 or not width > 0.0 else 2
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        value, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in values)
        return f"{value} points [{low}, {high}]"

    def number(self) -> str:
        """The index as a bare number, as many decimals as its interval carries.

        >>> Index("r.d2d.sigma", 0.31234, 0.2876, 0.3399).number()
        '0.312 [0.288, 0.340]'
        >>> Index("r.d2d.sigma", 9.263e-6, 8.904e-6, 9.621e-6).number(), Index("l.d2d.sigma", 0.0, 0.0, 0.0).number()
        ('9.26e-06 [8.90e-06, 9.62e-06]', '0 [0, 0]')
        """
        if math.isnan(self.value):
            return "not measured"
        numbers = (self.value, self.low, self.high)
        largest = max(map(abs, numbers))
        if largest == 0.0:
            return "0 [0, 0]"
        # Small numbers, such as the joules of a pulse, are written with an exponent: nobody counts zeros.
        if largest < 1e-3:
            return "{:.2e} [{:.2e}, {:.2e}]".format(*numbers)
        # As many decimals as two digits of the half-width need; where the interval is a point, at most five of the
        # value.
        finest = max((self.high - self.low) / 2.0, 1e-3 * abs(self.value), 1e-12)
        digits = min(12, max(0, 1 - math.floor(math.log10(finest)))) if math.isfinite(finest) else 3
        value, low, high = (f"{round(v, digits) + 0.0:.{digits}f}" for v in numbers)
        return f"{value} [{low}, {high}]"

    def scaled(self, by: float) -> "Index":
        """The index and its interval times ``by`` > 0, for example 100 to read a share in points.

        >>> Index("r.d2d.sigma", 0.041, 0.036, 0.046).scaled(100).number()
        '4.10 [3.60, 4.60]'
        """
        fields = ("value", "low", "high", "floor", "missed")
        return replace(self, **{name: by * getattr(self, name) for name in fields})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what was not measured is None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        plain: dict[str, Any] = {"factor": self.factor}
        if self.partner:
            plain["partner"] = self.partner
        plain |= {k: None if math.isnan(v) else v for k, v in values.items()}
        return plain | {name: value for name in ("floor", "missed") if (value := getattr(self, name))}


@dataclass(frozen=True)
class Difference:
    """The ranking index of ``larger`` minus that of ``smaller``, with the interval of the difference.

    Two indices come from the same rows, so their own intervals may overlap although the difference is certain, or be
    apart although it is not. Only the interval of the difference says whether the order is known.
    """

    larger: str
    smaller: str
    value: float
    low: float
    high: float

    @property
    def separated(self) -> bool:
        """Whether the data tell which of the two is larger."""
        return not self.low <= 0.0 <= self.high


def with_unit(value: str, unit: str) -> str:
    """A value with its unit; one without a unit, or relative to something, stays a bare number.

    >>> with_unit("293", "K"), with_unit("0.08", "relative")
    ('293 K', '0.08')
    """
    return value if unit in ("", "1", "relative") else f"{value} {unit}"
