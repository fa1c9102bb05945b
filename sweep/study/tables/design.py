"""The table [design]: which points are trained, and how often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import NEEDED, declared, flag, table, text, whole, word
from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.nearest_names import did_you_mean
from vcm_sweep.sweep.study.tables.correlation import Pairs, read_correlation
from vcm_sweep.sweep.study.tables.fields import Fields, brief
from vcm_sweep.sweep.study.tables.run import canonical

SEED_POLICIES = ("independent", "common")
METHODS = ("space", "sobol", "morris", "shapley", "limits", "conditions")
GROUPED = ("space", "sobol", "morris")
"""Methods that can rank groups of factors."""
ARMS = ("cost", "mediation")
UNNAMED = "sobol"
"""The method of results folders whose study names none: it was the default when they were made."""
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    **{method: {"replicates": 1} for method in METHODS[1:]},
    "limits": {"replicates": 1, "seeds": "common"},
    "conditions": {"replicates": 5, "seeds": "common"},
}
"""Where a method's default is not that of the field."""
_INDEPENDENT: Mapping[str, str] = {
    "sobol": "whose indices are of independent factors: rows that exchange one column break the correlation",
    "morris": "whose steps move one factor and leave the others where they are",
    "shapley": "whose trajectories draw every factor by itself",
    "limits": "which moves one factor alone",
    "conditions": "which has no factors",
}
"""Why a method's factors cannot be correlated."""
MIN_PAIRS = 8
"""With fewer pairs, a confidence interval of a limits design would be meaningless."""
MIN_POINTS, MIN_REPEATED = 256, 32
"""No verdict follows from a space design of fewer points, or of fewer that are trained twice."""


@dataclass(frozen=True, kw_only=True)
class DesignSpec:
    """Which points are run, how often, and how seeds are shared.

    Attributes:
        method: "space", "sobol", "morris", "shapley", "limits" or "conditions".
        n: number of points (space), base points (sobol), trajectories (morris, shapley), pairs, i.e. seeds (limits),
            or conditions, which are counted.
        levels: number of levels of Morris' grid.
        second_order: whether Sobol's design has the rows that estimate the interaction of every pair of factors.
        correlation: rank correlations between factors, see tables/correlation.py; of space designs.
        groups: factors by group, for factors that are to move together; a factor in no group is ranked by itself.
        arms: for limits: "cost", or "mediation" to run the interventions too.
        baseline: for conditions: the name of the one that the others are compared with.
        replicates: number of runs of every point; unless it is given, 2 for space, 5 for conditions, 1 for all others.
        replicate_rows: number of points that are run once more.
        trainings: this many successive replicates train the same array of cells; 1: each replicate has its own array.
        seeds: "independent" or "common", see docs/statistics.md.
    """

    method: str = word(
        METHODS,
        "space: n points that fill the box evenly, each trained twice, for the narrowest intervals; sobol: Saltelli's "
        "rows, n (D + 2) of them for D factors, for an estimate that needs no model of the output; morris: n "
        "trajectories of D + 1 rows, for a first look at many factors; shapley: n trajectories of D + 1 rows from one "
        "random point to another, for shares that add up to one; limits: each factor alone at the ends of its range, "
        "in pairs with the nominal device; conditions: named settings, each trained with the same seeds",
    )
    n: int = whole(
        NEEDED,
        2,
        1 << 20,
        "points (a power of 2, and 256 or more for a verdict), base points (a power of 2), trajectories, or pairs "
        "(seeds; 8 or more); not given with conditions, which are counted",
    )
    replicates: int = whole(
        2, 1, 1000, "runs of every point; by default 2 with space, 5 with conditions, 1 with any other method"
    )
    replicate_rows: int = whole(0, 0, 1 << 30, "points that are run once more: they measure the training noise")
    seeds: str = word(
        SEED_POLICIES, "common: within a base point or trajectory; limits and conditions always; see docs/statistics.md"
    )
    levels: int = whole(4, 2, 100, "of the grid, even", only=("method", ("morris",)))
    arms: str = word(
        ARMS,
        "mediation: also what of a cost goes through SET/RESET mismatch and speed, five trainings for one",
        only=("method", ("limits",)),
    )
    baseline: str = text("", "of conditions: the name of the one that the others are compared with")
    conditions: str = text(
        "",
        "of conditions: a CSV or Parquet file beside the study file, one in each row, in place of [[condition]]",
    )
    second_order: bool = flag("sobol: with the rows that tell the interaction of every pair, n (2 D + 2) of them")
    trainings: int = whole(
        1,
        1,
        1000,
        "so many replicates in a row are trainings of one array: replicates = 4, trainings = 2 are two arrays (device "
        "seeds), each trained twice, and luck is split into which array and which training; two arrays or more",
    )
    groups: Mapping[str, tuple[str, ...]] = table(
        {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
        "factors that move together, ranked as one; of space, sobol and morris",
    )
    correlation: Pairs = table(
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1},
            },
        },
        "Spearman's rank correlations of pairs of factors, of space",
    )

    @classmethod
    def from_table(cls, table: Any, conditions: int = 0) -> "DesignSpec":
        """The design of a study, from its [design] table; ``conditions``: how many the study has."""
        fields = Fields(table, "design")
        if conditions and "n" in fields.given:
            raise StudyError(
                f"[design] n = {brief(table['n'])} is not for method = 'conditions', which are counted: leave it out, "
                "replicates is the number of trainings of each"
            )
        counted = {"n": conditions} if conditions else {}
        values = fields.exactly(declared(cls), **_DEFAULTS.get(str(table.get("method")), {}), **counted)
        read = {"groups": _groups(values["groups"]), "correlation": read_correlation(values["correlation"])}
        spec = cls(**values | read)
        spec._check()
        return spec

    def _check(self) -> None:
        """Raise StudyError for values that contradict each other or do not suit the method."""
        if self.levels % 2:
            raise StudyError(f"[design] levels = {self.levels} must be even: {self.levels + 1}?")
        if self.method in ("space", "sobol") and self.n & (self.n - 1):
            raise StudyError(
                f"[design] n = {self.n} must be a power of 2, as Sobol points need: {1 << self.n.bit_length()}?"
            )
        if self.second_order and self.method != "sobol":
            raise StudyError(
                f"[design] second_order = true is for method = 'sobol', and this is {self.method!r}: give that "
                "method, or leave it out"
            )
        if self.groups and self.method not in GROUPED:
            names = " or ".join(map(repr, GROUPED))
            raise StudyError(f"[design] groups are for method = {names}, and this is {self.method!r}: leave them out")
        if self.correlation and self.method != "space":
            raise StudyError(
                f"[design.correlation] is not for method = {self.method!r}, {_INDEPENDENT[self.method]}: give method = "
                "'space', whose Shapley effects hold for correlated factors, or leave it out"
            )
        if self.correlation and self.groups:
            raise StudyError("[design.correlation] and groups: correlated factors are ranked one by one, leave one out")
        if self.method == "space" and self.seeds != "independent":
            raise StudyError(
                f"[design] seeds = {self.seeds!r} is not for method = 'space', whose points have nothing in common: "
                "leave it out, or give method = 'sobol'"
            )
        if self.method == "limits":
            self._check_pairs()
        if self.method == "conditions":
            self._check_conditions()
        elif self.baseline or self.conditions:
            name, value = ("baseline", self.baseline) if self.baseline else ("conditions", self.conditions)
            raise StudyError(
                f"[design] {name} = {value!r} is for method = 'conditions', and this is {self.method!r}: leave it out"
            )
        if self.trainings > 1 and (self.replicates % self.trainings or self.replicates < 2 * self.trainings):
            least = self.trainings * max(2, -(-self.replicates // self.trainings))
            raise StudyError(
                f"[design] replicates = {self.replicates} must be arrays times trainings = {self.trainings}, with two "
                f"arrays or more: {least}?"
            )

    def _check_pairs(self) -> None:
        """Checks of limits designs, in which a pair is one seed, shared by the nominal device and all others."""
        if self.n < MIN_PAIRS:
            raise StudyError(
                f"[design] n = {self.n} pairs are too few for an interval of method = 'limits': {MIN_PAIRS} or more, "
                "32 for most costs"
            )
        if self.seeds != "common":
            raise StudyError(
                f"[design] seeds = {self.seeds!r} is not for method = 'limits', which compares pairs: leave it out"
            )
        for name, value, plain in (
            ("replicates", self.replicates, 1),
            ("replicate_rows", self.replicate_rows, 0),
            ("trainings", self.trainings, 1),
        ):
            if value != plain:
                raise StudyError(
                    f"[design] {name} = {value} is not for method = 'limits': each of its n is a seed, raise n"
                )

    def _check_conditions(self) -> None:
        """Checks of designs of conditions, in which a replicate is one seed, shared by all conditions."""
        for name, value, plain in (
            ("seeds", self.seeds, "common"),
            ("replicate_rows", self.replicate_rows, 0),
            ("trainings", self.trainings, 1),
        ):
            if value != plain:
                raise StudyError(
                    f"[design] {name} = {value!r} is not for method = 'conditions', whose replicates share seeds: "
                    "leave it out, or raise replicates"
                )

    def no_verdict(self) -> str:
        """Why no verdict can follow from this design, with what to change, in a sentence; "" where one can.

        Such a study may be run all the same, to see that all works or to be extended.

        >>> print(DesignSpec(n=64).no_verdict())
        [design] n = 64 is too few points for a verdict, 256 or more are needed: give n = 256, or extend --to 256 later
        """
        if self.method == "conditions" and self.replicates < 2:
            return (
                "[design] replicates = 1 is one training of each condition, which has no interval: give replicates = "
                "5, or extend --replicates 5 later"
            )
        if self.method != "space":
            return ""
        if self.n < MIN_POINTS:
            return (
                f"[design] n = {self.n} is too few points for a verdict, {MIN_POINTS} or more are needed: give n = "
                f"{MIN_POINTS}, or extend --to {MIN_POINTS} later"
            )
        if self.replicates < 2 and self.replicate_rows < MIN_REPEATED:
            return (
                f"[design] replicates = {self.replicates}, replicate_rows = {self.replicate_rows} train too few points "
                f"twice for a verdict, {MIN_REPEATED} or more are needed to tell luck: give replicates = 2, or extend "
                "--replicates 2 later"
            )
        return ""

    def grouped(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """What is ranked: the groups with their factors, and each factor that is in none; in the order of ``names``.

        Raises:
            StudyError: a group names something that is not a factor, or one group holds all factors.

        >>> DesignSpec(n=8, groups={"size": ("r", "l")}).grouped(["l", "T_0", "r"])
        {'size': ('l', 'r'), 'T_0': ('T_0',)}
        """
        if self.method == "conditions":
            return {}
        of = {name: group for group, members in self.groups.items() for name in members}
        for name, group in of.items():
            if name not in names:
                hint = did_you_mean(name, names, f"factors: {', '.join(names)}")
                raise StudyError(f"[design.groups] {group} = {name!r} is not a factor of the study; {hint}")
        found: dict[str, tuple[str, ...]] = {}
        for name in names:
            group = of.get(name, name)
            if name not in of and name in self.groups:
                raise StudyError(
                    f"[design.groups] {name} is the name of a factor that is in no group: rename the group"
                )
            found[group] = (*found.get(group, ()), name)
        if len(found) < 2 and self.groups:
            raise StudyError(
                f"[design.groups] {next(iter(found))} holds every factor: leave one out, or make two groups to compare"
            )
        return found

    def plain(self) -> dict[str, Any]:
        """The canonical table. Fields that later versions added are in it only if they are not at their default, so
        that older studies keep their digests and folders."""
        values = vars(self) | {"groups": {name: list(members) for name, members in self.groups.items()}}
        for name, field in declared(type(self)).items():
            if field.only and getattr(self, field.only[0]) not in field.only[1]:
                del values[name]
        return canonical(type(self), values)


def _groups(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Factors by group; StudyError if a factor is in two groups."""
    seen: dict[str, str] = {}
    for group, members in table.items():
        if not group.strip() or not group.isprintable():
            raise StudyError(f"[design.groups] {brief(group)} cannot be shown as a name: use letters, as in 'size'")
        if not isinstance(members, list) or not members or not all(isinstance(name, str) for name in members):
            raise StudyError(f"[design.groups] {group} = {brief(members)} must be a list of factor names")
        for name in members:
            if name in seen:
                raise StudyError(f"[design.groups] {name!r} is in {seen[name]} and in {group}: keep one")
            seen[name] = group
    return {group: tuple(members) for group, members in table.items()}
