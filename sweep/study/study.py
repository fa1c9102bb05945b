"""What a study is: network, device, factors or conditions, design, and how it is run."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vcm_sweep.device.declared import NEEDED, Declared
from vcm_sweep.sweep.errors import Mistakes, StudyError
from vcm_sweep.sweep.nearest_names import nearest_names
from vcm_sweep.sweep.study.catalogue import apply_factors
from vcm_sweep.sweep.study.cautions import Setting, check_reach
from vcm_sweep.sweep.study.conditions import Condition, check_conditions, read_conditions
from vcm_sweep.sweep.study.contents import digests
from vcm_sweep.sweep.study.corners import check_devices
from vcm_sweep.sweep.study.editing import with_steps, with_values
from vcm_sweep.sweep.study.effects import check_effects
from vcm_sweep.sweep.study.factor_table import FACTOR_FIELDS
from vcm_sweep.sweep.study.factors import Factor
from vcm_sweep.sweep.study.named_files import start_from_here, with_named_files
from vcm_sweep.sweep.study.tables.correlation import check_correlation
from vcm_sweep.sweep.study.tables.design import UNNAMED, DesignSpec
from vcm_sweep.sweep.study.tables.device import canonical_device
from vcm_sweep.sweep.study.tables.fields import Fields
from vcm_sweep.sweep.study.tables.network import NetworkSpec
from vcm_sweep.sweep.study.tables.places import put_right
from vcm_sweep.sweep.study.tables.run import RunSpec
from vcm_sweep.sweep.study.tables.tolerance import ToleranceSpec
from vcm_sweep.sweep.study.tables.toml_text import read_toml
from vcm_sweep.sweep.trial import MODEL_VERSION
from vcm_sweep.sweep.user_code import look_beside

STUDY_FIELDS: Mapping[str, Declared] = {
    "name": Declared(
        "text",
        "the results folder becomes runs/NAME-HASH; no part of any result",
        NEEDED,
        pattern="(?=.{1,60}$)_*[A-Za-z0-9][A-Za-z0-9_-]*",
        form="letters, digits, '-' and '_', at most 60, the first no '-'",
    ),
    "seed": Declared(
        "whole",
        "from which all chance of the study follows: its design, first weights, order of samples, cells, noise",
        1,
        0,
        2**31 - 1,
    ),
}
"""[study]."""


@dataclass(frozen=True)
class Study:
    """A sensitivity study whose names, types and ranges are valid. :meth:`check` tells whether it can be trained.

    ``frozen`` holds what the text of the file does not: the model's version, and digests of the user's own data, model
    and weights. A results folder keeps it (frozen.json); without a folder it is made when the study is read.

    Example:
        >>> study = Study.from_toml("studies/demo.toml")
        >>> study.factors[0].high
        0.5
        >>> study.check()
    """

    name: str
    seed: int
    network: NetworkSpec
    device: dict[str, Any]
    factors: tuple[Factor, ...]
    design: DesignSpec
    run: RunSpec
    text: str
    frozen: dict[str, Any]
    tolerance: ToleranceSpec | None = None
    conditions: tuple[Condition, ...] = ()
    origin: str = field(default="", compare=False)

    @classmethod
    def from_toml(cls, path: str | Path, frozen: dict[str, Any] | None = None) -> "Study":
        """The study in a TOML file; StudyError says in one line what is wrong.

        ``frozen``: that of the results folder to which the file belongs, see :class:`Study`.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            if "\0" in text:  # of UTF-16 every other byte is 0, which is valid UTF-8
                raise UnicodeDecodeError("utf-8", text.encode(), text.index("\0"), text.index("\0") + 1, "a null")
        except FileNotFoundError:
            raise StudyError(f"{path}: there is no such file{_hint_of_others(Path(path))}") from None
        except IsADirectoryError:
            raise StudyError(
                f"{path} is a folder: give a study file, or go on with results by vcm-sweep resume"
            ) from None
        except UnicodeDecodeError as error:
            raise StudyError(
                f"{path}: not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8, as TOML is; an editor "
                "may call it Unicode or UTF-16 now"
            ) from None
        except OSError as error:
            raise StudyError(
                f"{path}: cannot be read ({error.__class__.__name__}): give the path of a study file"
            ) from None
        return cls.from_text(text, frozen, str(path))

    @classmethod
    def of(cls, study: "Study | str | Path") -> "Study":
        """The study, read from its file where that is given; StudyError for anything else."""
        if isinstance(study, cls):
            return study
        if not isinstance(study, (str, Path)):
            raise StudyError(f"study = {study!r} must be a study, or the path of a study file")
        return cls.from_toml(study)

    @classmethod
    def from_text(cls, text: str, frozen: dict[str, Any] | None = None, origin: str = "") -> "Study":
        """The study in a TOML string.

        Args:
            text: the text of a study file. The study's own ``text`` names the design's method where this one does not,
                has the contents of files of cells and conditions in place of their names, and dw_min as a number.
            frozen: that of a results folder; None: it is made now, which reads the user's own data, model and weights.
            origin: the file that the text comes from, beside which others are looked for; error messages begin with it.
        """
        with _said_of(origin):
            return cls._read(text, frozen, origin)

    @classmethod
    def _read(cls, text: str, frozen: dict[str, Any] | None, origin: str) -> "Study":
        table = read_toml(text)
        folder = Path(origin).parent if origin else Path()
        if frozen is None:
            look_beside(folder)
            text = with_named_files(text, folder)
            table = read_toml(text)
        design_given = table.get("design")
        named = isinstance(design_given, dict) and design_given.get("method") == "conditions"
        found = Mistakes()
        with found.noted():
            put_right(table, {"study": STUDY_FIELDS, "factor": FACTOR_FIELDS})
        given_factors, rows = table.pop("factor", None), table.pop("condition", None)
        fields = Fields(table, "top level")
        with found.noted():
            factors = _factors(given_factors, named)
        with found.noted():
            study = Fields(fields.table("study"), "study").exactly(STUDY_FIELDS)
        network_table, device_table = fields.table("network"), fields.table("device")
        with found.noted():
            network = NetworkSpec.from_table(network_table)
        if frozen is not None and frozen["model_version"] < 3 and "aihwkit" not in device_table:
            device_table.setdefault("model", "explicit")  # the default, and the only model, before version 3
        with found.noted():
            device = canonical_device(device_table)
        design_table = fields.table("design")
        if frozen is not None:
            design_table.setdefault("method", UNNAMED)
        if named:
            found.tell()  # or each would be told of every condition again
        with found.noted():
            conditions = read_conditions(rows, network_table, device_table, frozen is None) if named else ()
            design = DesignSpec.from_table(design_table, len(conditions))
        with found.noted():
            run = RunSpec.from_table(fields.table("run"))
        found.tell()
        if len(factors) == 1 and design.method != "limits":
            raise StudyError(
                "[[factor]] a study compares at least two factors (the share of a single one is 1): add one, or take "
                "[design] method = 'limits' for what it costs alone"
            )
        check_effects(network, device, factors)
        device = _written_out(device, factors)
        if named:
            check_conditions(conditions, design.baseline)
        elif rows is not None:
            raise StudyError(
                f"[[condition]] is for [design] method = 'conditions', and this is {design.method!r}: give that "
                "method, or leave it out"
            )
        if "method" not in design_table:
            # The folder that this text comes to keeps its method, whatever the default becomes.
            text = with_values(text, "design", {"method": design.method})
        names = [factor.name for factor in factors]
        design.grouped(names)
        check_correlation(design.correlation, names, [f.name for f in factors if not f.law.ordered])
        asked = fields.table("tolerance")
        tolerance = ToleranceSpec.from_table(asked, tuple(f.name for f in factors)) if asked else None
        if frozen is None:
            text = with_steps(text, device.get("dw_min"), [own.device.get("dw_min") for own in conditions])
            if network.start:
                network = replace(network, start=start_from_here(network.start, folder))
                text = with_values(text, "network", {"start": network.start})
            # The user's own data, model and weights are read now, so that errors in them are one line, before a run.
            frozen = {"model_version": MODEL_VERSION} | digests(network)
        return cls(
            study["name"], study["seed"], network, device, factors, design, run, text, frozen, tolerance, conditions,
            origin,
        )  # fmt: skip

    def check(self) -> None:
        """Raise StudyError if the study cannot be trained, which takes some simulation to find out.

        It simulates pulses of the nominal cell and builds devices at the ends of all ranges. Everything that trains
        calls this; reading results does not.
        """
        self.check_each(lambda setting: check_devices(setting.device, setting.factors))
        self.check_each(check_reach)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What is trained: the conditions, each by itself, or where there are none the study's own tables."""
        own = tuple(Setting(each.name, each.network, each.device, ()) for each in self.conditions)
        return own or (Setting("", self.network, self.device, self.factors),)

    def check_each(self, check: Callable[[Setting], None]) -> None:
        """Call a check with each setting that is trained; a StudyError of it names the condition."""
        with _said_of(self.origin):
            for setting in self.settings:
                with _said_of(setting.name and f"condition {setting.name!r}"):
                    check(setting)

    def inputs(self, values: dict[str, float]) -> dict[str, Any]:
        """All that determines a trial's result besides its seed and the model's version, in plain JSON types."""
        return apply_factors(self._nominal, values)

    def inputs_of(self, condition: Condition) -> dict[str, Any]:
        """The same of a condition's trials."""
        return self._inputs(condition.network, condition.device)

    @cached_property
    def _nominal(self) -> dict[str, Any]:
        """The inputs before any factor acts. Trials share these tables, so they must not be changed."""
        return self._inputs(self.network, self.device)

    def _inputs(self, network: NetworkSpec, device: dict[str, Any]) -> dict[str, Any]:
        contents = {name: value for name, value in self.frozen.items() if name != "model_version"}
        return {"network": self._network(network) | contents, "device": device}

    def _network(self, network: NetworkSpec) -> dict[str, Any]:
        table = network.plain()
        # Keys identify first weights by their digest. Keys of model versions 1 and 2 had the path of the file, so it
        # must stay for those.
        if self.frozen["model_version"] > 2:
            table.pop("start", None)
        return table

    def canonical(self) -> dict[str, Any]:
        """All that determines the results of the study; [run] and [tolerance] are left out."""
        return {
            "study": {"name": self.name, "seed": self.seed},
            "network": self._network(self.network),
            "device": self.device,
            "factor": [factor.plain() for factor in self.factors],
            "design": self.design.plain(),
            **(
                {"condition": [own.plain() | self.inputs_of(own) for own in self.conditions]} if self.conditions else {}
            ),
            # The first version had no ``frozen``: its digests must stay as they were.
            **({} if self.frozen == {"model_version": 1} else {"frozen": self.frozen}),
        }

    @property
    def digest(self) -> str:
        """64 hex digits that identify the study."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """What its results folder is called where nobody says otherwise: its name, and 8 hex digits of the digest."""
        return f"{self.name}-{self.digest[:8]}"


@contextmanager
def _said_of(origin: str) -> Iterator[None]:
    """Put the name of the study's file before the message of a StudyError."""
    try:
        yield
    except StudyError as error:
        if not origin:
            raise
        raise StudyError(f"{origin}: {error}") from None


def _written_out(device: dict[str, Any], factors: tuple[Factor, ...]) -> dict[str, Any]:
    """The canonical device table, in which every sub-table that a factor changes is written out in full."""
    table = dict(device)
    for factor in factors:
        root, *path = factor.path
        if root == "device" and len(path) == 3 and path[1] not in table.get(path[0], {}):
            table[path[0]] = {**table.get(path[0], {}), path[1]: {}}
    return canonical_device(table)


def _factors(tables: Any, named: bool) -> tuple[Factor, ...]:
    """The factors; ``named``: whether the study has conditions in their place."""
    if named and tables is not None:
        raise StudyError(
            "[[factor]] is not for method = 'conditions', whose conditions give values themselves: leave it out, or "
            "choose another method"
        )
    if named:
        return ()
    if not isinstance(tables, list) or not tables:
        raise StudyError("[[factor]] is missing: a study varies at least one factor")
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"[[factor]] {name!r} is given {names.count(name)} times: keep one")
    found, factors = Mistakes(), []
    for number, table in enumerate(tables, 1):
        with found.noted():
            factors.append(Factor.from_table(table, number))
    found.tell()
    return tuple(factors)


def _hint_of_others(missing: Path) -> str:
    """What a study file that is not there may have been meant as: one beside it."""
    try:
        others = {file.stem: file for file in sorted(missing.parent.glob("*.toml"))}
    except OSError:
        others = {}
    near = nearest_names(missing.stem, others)
    if near:
        return f"; did you mean {others[near[0]]}?"
    return ": give the path of a study file, or make one by vcm-sweep new"
