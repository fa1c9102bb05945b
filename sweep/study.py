"""What a study is: network, device, factors, design, and how it is run."""

import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcm_sweep.device.errors import DeviceError

from .device_table import build_device, canonical_device
from .errors import StudyError
from .factors import CATALOGUE, Factor, apply_factors
from .fields import Fields

DATA_SETS = ("digits", "mnist")
SEED_POLICIES = ("independent", "common")
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class NetworkSpec:
    """The network, its data and its training schedule."""

    hidden: tuple[int, ...]
    data: str
    epochs: int
    batch: int
    lr: float
    init: float
    train_samples: int
    test_samples: int

    @classmethod
    def from_table(cls, table: Any) -> "NetworkSpec":
        """From the [network] table."""
        fields = Fields(table, "network")
        fields.choice("preset", ("mlp",), "mlp")
        spec = cls(
            hidden=tuple(fields.integers("hidden", 1, 100_000)),
            data=fields.choice("data", DATA_SETS),
            epochs=fields.integer("epochs", 1, 10_000),
            batch=fields.integer("batch", 1, 100_000),
            lr=fields.number("lr", 1e-9, 100.0),
            init=fields.number("init", 0.0, 100.0, 0.5),
            train_samples=fields.integer("train_samples", 0, 10_000_000, 0),
            test_samples=fields.integer("test_samples", 0, 10_000_000, 0),
        )
        fields.finish()
        return spec


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
    """How trials are packed and bounded in time; no part of any result."""

    pack: int
    deadline_s: float

    @classmethod
    def from_table(cls, table: Any) -> "RunSpec":
        """From the [run] table."""
        fields = Fields(table, "run")
        spec = cls(pack=fields.integer("pack", 1, 4096, 16), deadline_s=fields.number("deadline_s", 0.1, 1e9, 3600.0))
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

    @classmethod
    def from_toml(cls, path: str | Path) -> "Study":
        """The study in a TOML file; StudyError says in one line what is wrong."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                f"{path}: cannot be read ({error.__class__.__name__}): give the path of a study file"
            ) from None
        try:
            return cls.from_text(text)
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from None

    @classmethod
    def from_text(cls, text: str) -> "Study":
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
        device = _written_out(canonical_device(fields.table("device")), factors)
        design = DesignSpec.from_table(fields.table("design"))
        run = RunSpec.from_table(fields.table("run"))
        fields.finish(also=("factor",))
        study = cls(name, seed, network, device, factors, design, run, text)
        study._check_corners()
        return study

    def _check_corners(self) -> None:
        """Each factor at each end of its range must give a device that can be built."""
        for factor in self.factors:
            for value in (factor.low, factor.high):
                try:
                    build_device(apply_factors(self.device, {factor.name: value}))
                except DeviceError as error:
                    raise StudyError(f"factor {factor.name} at {value:g}: {error}") from None

    def inputs(self, values: dict[str, float]) -> dict[str, Any]:
        """All that determines a trial's result but its seed, as plain JSON types."""
        network = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(self.network).items()}
        return {"network": network, "device": apply_factors(self.device, values)}

    def canonical(self) -> dict[str, Any]:
        """All that determines the results of the study; [run] is left out."""
        return {
            "study": {"name": self.name, "seed": self.seed},
            **self.inputs({}),
            "factor": [vars(factor) for factor in self.factors],
            "design": vars(self.design),
        }

    @property
    def digest(self) -> str:
        """64 hex digits that identify the study."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()


def _written_out(device: dict[str, Any], factors: tuple[Factor, ...]) -> dict[str, Any]:
    """The canonical device table with the sub-tables that factors touch written out in full."""
    table = dict(device)
    for factor in factors:
        path = CATALOGUE[factor.name].path
        if len(path) == 3 and path[1] not in table[path[0]]:
            table[path[0]] = {**table[path[0]], path[1]: {}}
    return canonical_device(table)


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
