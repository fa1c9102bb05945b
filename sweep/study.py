"""What a study is: network, device, factors, design, and how it is run."""

import dataclasses
import difflib
import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vcm_sweep.device.errors import DeviceError

from .aihwkit_device import build_compiled_device, canonical_settings
from .data import DATA_SETS, fingerprint, is_own, load
from .device_table import build_device, canonical_device, is_physical
from .errors import StudyError
from .factors import Factor, apply_factors
from .fields import Fields
from .network import ACTIVATIONS, PRESETS, weights_digest
from .trial import MODEL_VERSION

SEED_POLICIES = ("independent", "common")
MAX_SEED = 2**31 - 1


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
        model = fields.text("model", "-")
        own, mlp = model != "-", model == "-" and preset == "mlp"
        spec = cls(
            preset=preset,
            model=model if own else "",
            hidden=tuple(fields.integers("hidden", 1, 100_000, None if mlp else [])),
            activation=fields.choice("activation", ACTIVATIONS, "sigmoid"),
            data=_data_name(fields.text("data")),
            epochs=fields.integer("epochs", 1, 10_000),
            batch=fields.integer("batch", 1, 100_000),
            lr=fields.number("lr", 1e-9, 100.0),
            lr_step_epochs=fields.integer("lr_step_epochs", 0, 10_000, 0),
            lr_gamma=fields.number("lr_gamma", 1e-6, 1.0, 1.0),
            init="fan_in" if fields.is_word("init", "fan_in", 0.5) else fields.number("init", 0.0, 100.0, 0.5),
            start=fields.text("start", "-").removeprefix("-"),
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
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                table[field.name] = list(value) if isinstance(value, tuple) else value
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
    """Which points are run, how often, and how seeds are shared."""

    method: str
    n: int
    replicates: int
    replicate_rows: int
    seeds: str

    @classmethod
    def from_table(cls, table: Any) -> "DesignSpec":
        """From the [design] table."""
        fields = Fields(table, "design")
        spec = cls(
            method=fields.choice("method", ("sobol",), "sobol"),
            n=fields.integer("n", 2, 1 << 20),
            replicates=fields.integer("replicates", 1, 1000, 1),
            replicate_rows=fields.integer("replicate_rows", 0, 1 << 30, 0),
            seeds=fields.choice("seeds", SEED_POLICIES, "independent"),
        )
        fields.finish()
        if spec.n & (spec.n - 1):
            raise StudyError(
                f"[design] n = {spec.n} must be a power of 2, as Sobol points need: {1 << spec.n.bit_length()}?"
            )
        return spec


@dataclass(frozen=True)
class RunSpec:
    """How trials are packed, bounded in time and saved on the way; no part of any result.

    A pack of 0 is "auto": its size is chosen by trying some.
    """

    pack: int
    deadline_s: float
    checkpoint_s: float = 300.0

    @classmethod
    def from_table(cls, table: Any) -> "RunSpec":
        """From the [run] table."""
        fields = Fields(table, "run")
        spec = cls(
            pack=0 if fields.is_word("pack", "auto") else fields.integer("pack", 1, 4096),
            deadline_s=fields.number("deadline_s", 0.1, 1e9, 3600.0),
            checkpoint_s=fields.number("checkpoint_s", 0.0, 1e9, 300.0),
        )
        fields.finish()
        return spec


@dataclass(frozen=True)
class Study:
    """A sensitivity study, validated.

    Example:
        >>> study = Study.from_text('''
        ... [study]
        ... name = "tiny"
        ... [network]
        ... hidden = [8]
        ... data = "digits"
        ... epochs = 1
        ... batch = 32
        ... lr = 0.02
        ... [[factor]]
        ... name = "r.d2d.sigma"
        ... range = [0.0, 0.08]
        ... [[factor]]
        ... name = "read.noise.sigma"
        ... range = [0.0, 0.05]
        ... [design]
        ... n = 8
        ... ''')
        >>> study.factors[0].high
        0.08
    """

    name: str
    seed: int
    network: NetworkSpec
    device: dict[str, Any]
    factors: tuple[Factor, ...]
    design: DesignSpec
    run: RunSpec
    text: str
    noted: dict[str, Any] | None = None

    @classmethod
    def from_toml(cls, path: str | Path, frozen: dict[str, Any] | None = None) -> "Study":
        """The study in a TOML file; StudyError says in one line what is wrong.

        ``frozen``: what a results folder noted of the study, see :attr:`frozen`.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                f"{path}: cannot be read ({error.__class__.__name__}): give the path of a study file"
            ) from None
        try:
            return cls.from_text(text, frozen)
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from None

    @classmethod
    def from_text(cls, text: str, frozen: dict[str, Any] | None = None) -> "Study":
        """The study in a TOML string."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise StudyError(f"not TOML: {error}") from None
        factors = _factors(table.pop("factor", None))
        fields = Fields(table, "top level")
        head = Fields(fields.table("study"), "study")
        name = head.text("name")
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 60:
            raise StudyError(f"[study] name = {name!r} must be letters, digits, '-' and '_', at most 60")
        seed = head.integer("seed", 0, MAX_SEED, 1)
        head.finish()
        network = NetworkSpec.from_table(fields.table("network"))
        device = canonical_device(fields.table("device"))
        _check_kinds(device, factors)
        device = _written_out(device, factors)
        design = DesignSpec.from_table(fields.table("design"))
        run = RunSpec.from_table(fields.table("run"))
        fields.finish(also=("factor",))
        study = cls(name, seed, network, device, factors, design, run, text, frozen)
        study._check_corners()
        return study

    def _check_corners(self) -> None:
        """Each factor at each end of its range must give a device that can be built."""
        for factor in self.factors:
            for value in (factor.low, factor.high):
                device = apply_factors({"device": self.device, "network": {}}, {factor.name: value})["device"]
                try:
                    if is_physical(device):
                        build_device(device)
                    else:
                        build_compiled_device(
                            device["aihwkit"], canonical_settings(device["aihwkit"], device["settings"])
                        )
                except (DeviceError, StudyError) as error:
                    raise StudyError(f"factor {factor.name} at {value:g}: {error}") from None

    def inputs(self, values: dict[str, float]) -> dict[str, Any]:
        """All that determines a trial's result but its seed and the model's version, as plain JSON types."""
        contents = {name: value for name, value in self.frozen.items() if name != "model_version"}
        return apply_factors({"network": self.network.plain() | contents, "device": self.device}, values)

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """What the study only implies: the model's version, and digests of the user's own data and first weights.

        A results folder has noted it; otherwise the user's data and weights are read.
        """
        if self.noted is not None:
            return self.noted
        frozen: dict[str, Any] = {"model_version": MODEL_VERSION}
        if is_own(self.network.data):
            frozen["data_digest"] = fingerprint(load(self.network.data))
        if self.network.start:
            frozen["start_digest"] = weights_digest(self.network.start)
        return frozen

    def canonical(self) -> dict[str, Any]:
        """All that determines the results of the study; [run] is left out."""
        return {
            "study": {"name": self.name, "seed": self.seed},
            "network": self.network.plain(),
            "device": self.device,
            "factor": [vars(factor) for factor in self.factors],
            "design": vars(self.design),
            # The first version noted nothing.
            **({} if self.frozen == {"model_version": 1} else {"frozen": self.frozen}),
        }

    @property
    def digest(self) -> str:
        """64 hex digits that identify the study."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()


def _written_out(device: dict[str, Any], factors: tuple[Factor, ...]) -> dict[str, Any]:
    """The canonical device table with the sub-tables that factors touch written out in full."""
    table = dict(device)
    for factor in factors:
        root, *path = factor.path
        if root == "device" and len(path) == 3 and path[1] not in table[path[0]]:
            table[path[0]] = {**table[path[0]], path[1]: {}}
    return canonical_device(table)


def _check_kinds(device: dict[str, Any], factors: tuple[Factor, ...]) -> None:
    """Factors of VCM cells do nothing to aihwkit's devices, and the other way round."""
    for factor in factors:
        if factor.path[0] == "device" and (factor.path[1] == "settings") == is_physical(device):
            which = "VCM cells" if is_physical(device) else device["aihwkit"]
            raise StudyError(
                f"factor {factor.name} has no effect on the study's device ({which}): "
                "aihwkit.<field> is for aihwkit's own devices, all others but network.lr are for VCM cells"
            )


def _factors(tables: Any) -> tuple[Factor, ...]:
    if not isinstance(tables, list) or not tables:
        raise StudyError("[[factor]] is missing: a study varies at least one factor")
    if len(tables) < 2:
        raise StudyError("[[factor]] a Sobol study needs at least two factors: the share of a single one is 1")
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"[[factor]] {name!r} is given {names.count(name)} times: keep one")
    return tuple(Factor.from_table(table, number) for number, table in enumerate(tables, 1))
