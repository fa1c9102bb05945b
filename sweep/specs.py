"""The [network], [design] and [run] tables of a study."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .data import DATA_SETS, is_own
from .errors import StudyError
from .fields import Fields, brief
from .network import ACTIVATIONS, PRESETS

SEED_POLICIES = ("independent", "common")
METHODS = ("sobol", "morris", "shapley", "limits")
ARMS = ("cost", "mediation")
MIN_PAIRS = 8
"""Below this an interval over the pairs of a limits design means nothing."""


@dataclass(frozen=True)
class NetworkSpec:
    """The network, its data and its training schedule.

    Fields with a default came later: they are left out of a trial's inputs where they keep it, so that what was
    done before them keeps its keys.
    """

    hidden: tuple[int, ...]
    data: str
    epochs: int
    batch: int
    lr: float
    init: float | str
    train_samples: int
    test_samples: int
    preset: str = "mlp"
    model: str = ""
    activation: str = "sigmoid"
    start: str = ""
    validation_samples: int = 0
    patience: int = 0
    lr_step_epochs: int = 0
    lr_gamma: float = 1.0

    @classmethod
    def from_table(cls, table: Any) -> "NetworkSpec":
        """From the [network] table."""
        fields = Fields(table, "network")
        preset = fields.choice("preset", PRESETS, "mlp")
        model = fields.text("model", optional=True)
        mlp = not model and preset == "mlp"
        spec = cls(
            preset=preset,
            model=model,
            hidden=tuple(fields.integers("hidden", 1, 100_000, None if mlp else [])),
            activation=fields.choice("activation", ACTIVATIONS, "sigmoid"),
            data=_data_name(fields.text("data")),
            epochs=fields.integer("epochs", 1, 10_000),
            batch=fields.integer("batch", 1, 100_000),
            lr=fields.number("lr", 1e-9, 100.0),
            lr_step_epochs=fields.integer("lr_step_epochs", 0, 10_000, 0),
            lr_gamma=fields.number("lr_gamma", 1e-6, 1.0, 1.0),
            init="fan_in" if fields.is_word("init", "fan_in", 0.5) else fields.number("init", 0.0, 100.0, 0.5),
            start=fields.text("start", optional=True),
            train_samples=fields.integer("train_samples", 0, 10_000_000, 0),
            test_samples=fields.integer("test_samples", 0, 10_000_000, 0),
            validation_samples=fields.integer("validation_samples", 0, 10_000_000, 0),
            patience=fields.integer("patience", 0, 10_000, 0),
        )
        fields.finish()
        spec._check(fields)
        return spec

    def _check(self, fields: Fields) -> None:
        """Fields against each other."""
        given = fields.given
        if self.model and given & {"preset", "hidden", "activation"}:
            raise StudyError("[network] model is your own network: leave out preset, hidden and activation")
        if self.preset == "lenet" and "hidden" in given:
            raise StudyError("[network] hidden is for preset = 'mlp': leave it out with 'lenet'")
        if self.start and "init" in given:
            raise StudyError("[network] init and start both give the first weights: keep one")
        if self.patience and not self.validation_samples:
            raise StudyError(
                "[network] patience stops a training by its validation accuracy: give validation_samples as well"
            )
        if (self.lr_gamma != 1.0) != (self.lr_step_epochs > 0):
            raise StudyError(
                "[network] lr_gamma below 1 and lr_step_epochs above 0 go together: "
                "lr is multiplied by lr_gamma after every lr_step_epochs epochs"
            )

    def plain(self) -> dict[str, Any]:
        """The canonical table, plain JSON types."""
        table: dict[str, Any] = {}
        for own in dataclasses.fields(self):
            value = getattr(self, own.name)
            if own.default is dataclasses.MISSING or value != own.default:
                table[own.name] = list(value) if isinstance(value, tuple) else value
        return table


def _data_name(name: str) -> str:
    if not is_own(name) and name not in DATA_SETS:
        near = difflib.get_close_matches(name, DATA_SETS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise StudyError(
            f"[network] data = {name!r} must be one of {', '.join(map(repr, DATA_SETS))}, or your own function as "
            f"'package.module:function'{hint}"
        )
    return name


@dataclass(frozen=True)
class DesignSpec:
    """Which points are run, how often, and how seeds are shared.

    Attributes:
        method: "sobol", "morris", "shapley" or "limits". n: base points, trajectories, or pairs (seeds).
        levels: of Morris' grid.
        second_order: whether Sobol's rows tell the interaction of every pair.
        groups: factors by group, where several are to move together; a factor in none is ranked by itself.
        arms: of limits, "cost", or "mediation" for the interventions as well.
        replicates: runs of every point. replicate_rows: points that are run once more.
        trainings: so many replicates in a row are trainings of one array of cells; 1: each has an array of its own.
        seeds: "independent" or "common", see docs/statistics.md.
    """

    method: str
    n: int
    replicates: int
    replicate_rows: int
    seeds: str
    levels: int = 4
    second_order: bool = False
    trainings: int = 1
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arms: str = "cost"

    @classmethod
    def from_table(cls, table: Any) -> "DesignSpec":
        """From the [design] table."""
        fields = Fields(table, "design")
        method = fields.choice("method", METHODS, "sobol")
        spec = cls(
            method=method,
            n=fields.integer("n", 2, 1 << 20),
            replicates=fields.integer("replicates", 1, 1000, 1),
            replicate_rows=fields.integer("replicate_rows", 0, 1 << 30, 0),
            seeds=fields.choice("seeds", SEED_POLICIES, "common" if method == "limits" else "independent"),
            levels=fields.integer("levels", 2, 100, 4) if method == "morris" else 4,
            arms=fields.choice("arms", ARMS, "cost") if method == "limits" else "cost",
            second_order=fields.flag("second_order", False),
            trainings=fields.integer("trainings", 1, 1000, 1),
            groups=_groups(fields.table("groups")) if "groups" in fields.given else {},
        )
        fields.finish()
        spec._check()
        return spec

    def _check(self) -> None:
        """Fields against each other."""
        if self.levels % 2:
            raise StudyError(f"[design] levels = {self.levels} must be even: {self.levels + 1}?")
        if self.method == "sobol" and self.n & (self.n - 1):
            raise StudyError(
                f"[design] n = {self.n} must be a power of 2, as Sobol points need: {1 << self.n.bit_length()}?"
            )
        if self.second_order and self.method != "sobol":
            raise StudyError(
                f"[design] second_order = true is for method = 'sobol', and this is {self.method!r}: leave it out"
            )
        if self.groups and self.method not in ("sobol", "morris"):
            raise StudyError(
                f"[design] groups are for method = 'sobol' or 'morris', and this is {self.method!r}: leave them out"
            )
        if self.method == "limits":
            self._check_pairs()
        if self.trainings > 1 and (self.replicates % self.trainings or self.replicates < 2 * self.trainings):
            least = self.trainings * max(2, -(-self.replicates // self.trainings))
            raise StudyError(
                f"[design] replicates = {self.replicates} must be arrays times trainings = {self.trainings}, with two "
                f"arrays or more: {least}?"
            )

    def _check_pairs(self) -> None:
        """A pair is one seed, shared by the nominal device and all that it is compared with."""
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

    def grouped(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """What is ranked, with its factors: groups, and by themselves the factors in none; in the order of ``names``.

        Raises:
            StudyError: a group names what is no factor, or there is nothing to compare.

        >>> DesignSpec("sobol", 8, 1, 0, "independent", groups={"size": ("r", "l")}).grouped(["l", "T_0", "r"])
        {'size': ('l', 'r'), 'T_0': ('T_0',)}
        """
        of = {name: group for group, members in self.groups.items() for name in members}
        for name, group in of.items():
            if name not in names:
                near = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"factors: {', '.join(names)}"
                raise StudyError(f"[design.groups] {group} = {name!r} is no factor of the study; {hint}")
        found: dict[str, tuple[str, ...]] = {}
        for name in names:
            group = of.get(name, name)
            if name not in of and name in self.groups:
                raise StudyError(
                    f"[design.groups] {name} is the name of a factor that is in no group: rename the group"
                )
            found[group] = (*found.get(group, ()), name)
        if len(found) < 2:
            raise StudyError(
                f"[design.groups] {next(iter(found))} holds every factor: leave one out, or make two groups to compare"
            )
        return found

    def plain(self) -> dict[str, Any]:
        """The canonical table; what came later only where it is said, so that older studies keep their folders."""
        table = dict(vars(self)) | {"groups": {name: list(members) for name, members in self.groups.items()}}
        for name, method in (("levels", "morris"), ("arms", "limits")):
            if self.method != method:
                del table[name]
        for name, default in (("second_order", False), ("trainings", 1), ("groups", {})):
            if table[name] == default:
                del table[name]
        return table


def _groups(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Factors by group, none in two."""
    seen: dict[str, str] = {}
    for group, members in table.items():
        if not group.strip() or not group.isprintable():
            raise StudyError(f"[design.groups] {brief(group)} is no name to show: use letters, for example 'size'")
        if not isinstance(members, list) or not members or not all(isinstance(name, str) for name in members):
            raise StudyError(f"[design.groups] {group} = {brief(members)} must be a list of factor names")
        for name in members:
            if name in seen:
                raise StudyError(f"[design.groups] {name!r} is in {seen[name]} and in {group}: keep one")
            seen[name] = group
    return {group: tuple(members) for group, members in table.items()}


@dataclass(frozen=True)
class RunSpec:
    """How trials are packed, bounded in time, saved on the way and tried again; no part of any result.

    A pack of 0 is "auto": its size is chosen by trying some. ``gpus_per_pack`` None is as the device needs; a
    ``memory_gb_per_pack`` of 0 sets none aside.
    """

    pack: int
    deadline_s: float
    checkpoint_s: float = 300.0
    retries: int = 1
    cpus_per_pack: int = 1
    gpus_per_pack: float | None = None
    memory_gb_per_pack: float = 0.0

    @classmethod
    def from_table(cls, table: Any) -> "RunSpec":
        """From the [run] table."""
        fields = Fields(table, "run")
        spec = cls(
            pack=0 if fields.is_word("pack", "auto") else fields.integer("pack", 1, 4096),
            deadline_s=fields.number("deadline_s", 0.1, 1e9, 3600.0),
            checkpoint_s=fields.number("checkpoint_s", 0.0, 1e9, 300.0),
            retries=fields.integer("retries", 0, 100, 1),
            cpus_per_pack=fields.integer("cpus_per_pack", 1, 1024, 1),
            gpus_per_pack=None
            if fields.is_word("gpus_per_pack", "auto")
            else fields.number("gpus_per_pack", 0.0, 64.0),
            memory_gb_per_pack=fields.number("memory_gb_per_pack", 0.0, 1e6, 0.0),
        )
        fields.finish()
        if spec.gpus_per_pack is not None:
            check_gpu_share(spec.gpus_per_pack)
        return spec


def check_gpu_share(gpus: float) -> None:
    """Raise StudyError for a share of GPUs that cannot be given.

    >>> check_gpu_share(1.5)
    Traceback (most recent call last):
    ...
    vcm_sweep.sweep.errors.StudyError: [run] gpus_per_pack = 1.5 must be at most 1, or a whole number: take 1 or 2
    """
    if gpus > 1 and gpus != int(gpus):
        raise StudyError(
            f"[run] gpus_per_pack = {gpus:g} must be at most 1, or a whole number: take {int(gpus)} or {int(gpus) + 1}"
        )
