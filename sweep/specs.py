"""The [network], [design] and [run] tables of a study."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared, declare, declared, flag, number, table, text, whole, word

from .data import DATA_SETS
from .errors import StudyError
from .fields import Fields, brief
from .network import ACTIVATIONS, PRESETS

SEED_POLICIES = ("independent", "common")
METHODS = ("sobol", "morris", "shapley", "limits")
ARMS = ("cost", "mediation")
MIN_PAIRS = 8
"""Below this an interval over the pairs of a limits design means nothing."""

# Fields of the first version, and those of a design's own method: written out in a canonical table even where they are
# the default. All others are left out there, so that what was done before they came keeps its keys. Never changed.
_WRITTEN_OUT = frozenset(
    ["init", "train_samples", "test_samples", "method", "replicates", "replicate_rows", "seeds", "levels", "arms"]
)

OWN = "your own function as 'package.module:function'"


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """The network, its data and its training schedule."""

    preset: str = word(
        PRESETS,
        "lenet: two convolutions, two pools, three dense layers; kernels of 3 for images below 20 pixels",
    )
    model: str = text("", "your own network instead of a preset, see below", form=OWN)
    hidden: tuple[int, ...] = declare(
        Declared("wholes", "widths of the mlp's hidden layers, e.g. [256, 128]; for mlp alone", NEEDED, 1, 100_000)
    )
    activation: str = word(tuple(ACTIVATIONS), "after each hidden layer")
    data: str = text(
        NEEDED,
        "a data set, or your own, see below",
        words=DATA_SETS,
        pattern="|".join((*DATA_SETS, ".*:.*")),
        form=f"one of {', '.join(map(repr, DATA_SETS))}, or {OWN}",
    )
    epochs: int = whole(NEEDED, 1, 10_000, "passes over the training samples")
    batch: int = whole(NEEDED, 1, 100_000, "samples of a batch, which act one after the other")
    lr: float = number(NEEDED, 1e-9, 100.0, "", "learning rate")
    lr_step_epochs: int = whole(0, 0, 10_000, "lr is multiplied by lr_gamma after every so many epochs")
    lr_gamma: float = number(1.0, 1e-6, 1.0, "", "see lr_step_epochs; the paper has 0.5 every 10 epochs")
    init: float | str = number(
        0.5,
        0.0,
        100.0,
        "",
        "first weights uniform within +-init; fan_in: within the inverse root of a layer's inputs",
        instead={"fan_in": "fan_in"},
    )
    start: str = text(
        "",
        "first weights from a file of safetensors.torch.save_file(model.state_dict(), path), looked for where "
        "vcm-sweep is started; keys hold its content, not its place",
        form="path of a file",
    )
    train_samples: int = whole(0, 0, 10_000_000, "train with the first so many; 0 is all")
    test_samples: int = whole(0, 0, 10_000_000, "test with the first so many; 0 is all")
    validation_samples: int = whole(0, 0, 10_000_000, "held out from the end of the training samples")
    patience: int = whole(
        0, 0, 10_000, "a trial stops after so many epochs without a better validation accuracy; 0 is never"
    )

    @classmethod
    def from_table(cls, table: Any) -> "NetworkSpec":
        """From the [network] table."""
        fields = Fields(table, "network")
        mlp = "model" not in fields.given and table.get("preset", "mlp") == "mlp"
        spec = cls(**fields.all(declared(cls), **({} if mlp else {"hidden": []})))
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
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return _canonical(type(self), values)


def _canonical(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that are the default, but for the fields that are always written out."""
    fields = declared(cls)
    return {name: value for name, value in values.items() if name in _WRITTEN_OUT or value != fields[name].default}


@dataclass(frozen=True, kw_only=True)
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

    method: str = word(
        METHODS,
        "sobol: Saltelli's rows, n (D + 2) of them for D factors; morris: n trajectories of D + 1 rows, for a first "
        "look at many factors; shapley: n trajectories of D + 1 rows from one random point to another, for shares that "
        "add up to one; limits: each factor alone at the ends of its range, in pairs with the nominal device",
    )
    n: int = whole(NEEDED, 2, 1 << 20, "base points (a power of 2), trajectories, or pairs (seeds; 8 or more)")
    replicates: int = whole(1, 1, 1000, "runs of every point")
    replicate_rows: int = whole(0, 0, 1 << 30, "points that are run once more: they measure the training noise")
    seeds: str = word(SEED_POLICIES, "common: within a base point or trajectory; limits always; see docs/statistics.md")
    levels: int = whole(4, 2, 100, "of the grid, even", only=("method", ("morris",)))
    arms: str = word(
        ARMS,
        "mediation: also what of a cost goes through SET/RESET mismatch and speed, five trainings for one",
        only=("method", ("limits",)),
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
        "factors that move together, ranked as one; of sobol and morris, see below",
    )

    @classmethod
    def from_table(cls, table: Any) -> "DesignSpec":
        """From the [design] table."""
        fields = Fields(table, "design")
        limits = table.get("method") == "limits"
        values = fields.all(declared(cls), **({"seeds": "common"} if limits else {}))
        spec = cls(**values | {"groups": _groups(values["groups"])})
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

        >>> DesignSpec(n=8, groups={"size": ("r", "l")}).grouped(["l", "T_0", "r"])
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
        values = vars(self) | {"groups": {name: list(members) for name, members in self.groups.items()}}
        for name, field in declared(type(self)).items():
            if field.only and getattr(self, field.only[0]) not in field.only[1]:
                del values[name]
        return _canonical(type(self), values)


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

    pack: int = whole(
        0,
        1,
        4096,
        "trials trained side by side in one process; auto tries some sizes, within the memory that is free",
        instead={"auto": 0},
    )
    deadline_s: float = number(
        3600.0, 0.1, 1e9, "s", "of a trial; then it is frozen and its record says timeout, its pack-mates go on"
    )
    checkpoint_s: float = number(300.0, 0.0, 1e9, "s", "between two saved states of a pack; 0 saves none")
    retries: int = whole(1, 0, 100, "further attempts after an error of the trial itself")
    cpus_per_pack: int = whole(
        1, 1, 1024, "cores of a pack, and threads of its process; with more than one the last bits may differ"
    )
    gpus_per_pack: float | None = number(
        None,
        0.0,
        64.0,
        "",
        "a fraction of one GPU, or whole ones; auto is one with --device cuda, else none",
        instead={"auto": None},
    )
    memory_gb_per_pack: float = number(0.0, 0.0, 1e6, "GB", "memory that Ray sets aside for a pack; 0 sets none aside")

    @classmethod
    def from_table(cls, table: Any) -> "RunSpec":
        """From the [run] table."""
        fields = Fields(table, "run")
        spec = cls(**fields.all(declared(cls)))
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
