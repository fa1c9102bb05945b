"""A second opinion: what other estimators make of the same records, and whether they agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.results.index import Index, two_digits
from vcm_sweep.analysis.results.sensitivity import Sensitivity, listed
from vcm_sweep.analysis.studies.analysis import analyze, own_methods

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results

NAMES = {"bounded": "bounded", "sobol": "pick-freeze", "hdmr": "HDMR"}
"""What a reader calls the methods that give total indices."""

# Half-width of an interval, a share, beyond which a method has no opinion.
_NO_OPINION = 0.35


@dataclass(frozen=True)
class Opinion:
    """The total indices of the same records by another method, beside those of the first.

    Args:
        first: the analysis that is asked about. other: the second one.
    """

    first: Sensitivity
    other: Sensitivity

    @property
    def name(self) -> str:
        """What a reader calls the other method."""
        return NAMES[self.other.method]

    @property
    def pairs(self) -> tuple[tuple[Index, Index], ...]:
        """Both indices of each factor, in the order of the first ranking."""
        other = {index.factor: index for index in self.other.total}
        return tuple((index, other[index.factor]) for index in self.first.ranking())

    @property
    def apart(self) -> tuple[tuple[Index, Index], ...]:
        """The pairs whose intervals have nothing in common."""
        return tuple((one, two) for one, two in self.pairs if one.low > two.high or two.low > one.high)

    def _only(self, told: int) -> list[str]:
        """The factors of which only one of the two, 0 or 1, says that they have an effect."""
        return [pair[0].factor for pair in self.pairs if pair[1 - told].includes_zero and not pair[told].includes_zero]

    @property
    def half_width(self) -> float:
        """To how much the other method knows every index, a share."""
        return max((two.high - two.low) / 2.0 for _, two in self.pairs)

    @property
    def agrees(self) -> bool:
        """Whether all intervals have something in common, and the other finds no factor that the first leaves open.

        One that hardly knows anything agrees with all that its intervals hold.
        """
        return not self.apart and (self.half_width > _NO_OPINION or not self._only(1))

    def words(self) -> str:
        """Whether it agrees, in one sentence: what it finds, and what it leaves open."""
        name = (
            f"{self.name[:1].upper()}{self.name[1:]} (known to ±{two_digits(100 * self.half_width)} points or better)"
        )
        finds, leaves = self._only(1), self._only(0)
        if self.apart:
            given = "; ".join(
                f"{two.percent()} of {one.factor}, where {NAMES[self.first.method]} gives {one.percent()}"
                for one, two in self.apart
            )
            return f"{name} disagrees: it gives {given}. One of both is wrong there; more points tell which."
        if self.half_width > _NO_OPINION:
            return f"{name} agrees, as so wide intervals nearly always do."
        if finds:
            return f"{name} disagrees in a verdict: it finds an effect of {listed(finds)}, which is left open here."
        if leaves:
            return f"{name} agrees, but leaves open whether {listed(leaves)} {_has(leaves)} an effect."
        return f"{name} agrees."

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "method": self.other.method,
            "agrees": self.agrees,
            "words": self.words(),
            "total": [index.to_dict() for index in self.other.total],
        }


def second_opinions(
    results: "Results",
    result: Sensitivity,
    policy: str = "fail",
    within: Mapping[str, Sequence[float]] | None = None,
) -> tuple[Opinion, ...]:
    """What pick-freeze and HDMR make of the records whose total indices ``result`` has, as far as the records allow.

    They are those that come after the method of ``result``. Pick-freeze needs Saltelli's rows, and HDMR single factors,
    not groups. Rank-based first-order indices are not among them: they are wrong on Sobol points.

    Args:
        results, policy, within: those that `analyze` made ``result`` from.
    """
    again = partial(analyze, results, result.metric, policy=policy, within=within, confidence=result.confidence)
    own = own_methods(results.study.design)
    if result.method not in own or result.kind != "total":
        return ()
    found = []
    for method in (*own[own.index(result.method) + 1 :], *(() if result.groups else ("hdmr",))):
        try:
            other = again(method=method)
        except AnalysisError:
            # Too few points for this method: then it has no opinion.
            continue
        found.append(Opinion(result, other))
    return tuple(found)


def _has(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"
