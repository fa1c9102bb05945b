"""The JSON Schema of study files: it takes all that the reader takes, and refuses the slips that the reader refuses."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomlkit

from vcm_sweep.device.declared import Declared
from vcm_sweep.sweep import Study, StudyError
from vcm_sweep.sweep.study.json_schema import study_schema
from vcm_sweep.sweep.study.sections import BY_NAME, DEVICE, LAYER, MECHANISMS, PERIPHERY, PLAIN

ROOT = Path(__file__).parents[3]
STUDIES = sorted([*(ROOT / "studies").glob("*.toml"), *(ROOT / "docs").rglob("study.toml")])
DEMO = tomllib.loads((ROOT / "studies" / "demo.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    made = study_schema()
    jsonschema.Draft7Validator.check_schema(made)
    return jsonschema.Draft7Validator(made)


def changed(path: str, value: Any, away: str = "") -> dict[str, Any]:
    """The demo study with the field at a path such as "device.io.out_noise" set, and another one taken away."""
    study = copy.deepcopy(DEMO)
    *parts, last = path.split(".")
    table: Any = study
    for part in parts:
        table = table[int(part)] if part.isdigit() else table.setdefault(part, {})
    table[last] = value
    if away:
        del study[away.split(".")[0]][away.split(".")[1]]
    return study


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_studies_are_valid(schema: jsonschema.Draft7Validator, path: Path) -> None:
    schema.validate(tomllib.loads(path.read_text(encoding="utf-8")))


def of_conditions(**second: Any) -> dict[str, Any]:
    """A study of two conditions; the fields of the second."""
    rows = [{"name": "plain"}, {"name": "b", "published": 90.0, "network": {"lr": 0.1}} | second]
    design = {"method": "conditions", "baseline": "plain"}
    return {name: DEMO[name] for name in ("study", "network", "device")} | {"design": design, "condition": rows}


def test_conditions_are_valid_and_their_slips_are_not(schema: jsonschema.Draft7Validator) -> None:
    for second in (
        {}, {"published_sd": 0.5, "published_n": 5}, {"device": {"d2d": {"l": {"sigma": 0.1}}}},
        {"r.d2d.sigma": 0.1, "io.noise_management": "MAX"}, {"device": {"aihwkit": "SoftBoundsDevice"}},
    ):  # fmt: skip
        study = of_conditions(**second)
        schema.validate(study)
        Study.from_text(tomlkit.dumps(study))
    slips = [
        of_conditions(published=940.0), of_conditions(published_sd=0.5), of_conditions(rubbish=1),
        of_conditions(network={"epoch": 3}), of_conditions(device={"d2d": {"q": {"sigma": 0.1}}}),
        of_conditions(**{"r.d2d.sigma": 11.0}), of_conditions(**{"io.noise_management": "MANY"}),
        of_conditions() | {"factor": DEMO["factor"]}, of_conditions() | {"tolerance": {"drop": 0.02}},
        of_conditions() | {"design": {"method": "conditions"}}, DEMO | {"condition": of_conditions()["condition"]},
    ]  # fmt: skip
    for study in slips:
        assert not schema.is_valid(study), study
        with pytest.raises(StudyError):
            Study.from_text(tomlkit.dumps(study))


SLIPS = [
    ("study.name", "../x", ""),
    ("study.seed", -1, ""),
    ("study.sed", 1, ""),
    ("network.epochs", 4.5, ""),
    ("network.epoch", 4, "network.epochs"),
    ("network.hidden", "32", ""),
    ("network.hiden", [32], "network.hidden"),
    ("network.preset", "lenet", ""),
    ("network.model", "package.module:function", ""),
    ("network.activation", "relux", ""),
    ("network.data", "digit", ""),
    ("network.init", "fan_out", ""),
    ("network.start", "weights.safetensors", ""),
    ("network.lr", True, ""),
    ("device.modle", "full", ""),
    ("device.model", "implicit", ""),
    ("device.T_0", 0.0, ""),
    ("device.R", 45e-9, ""),
    ("device.set_voltage_v", 0.342, ""),
    ("device.pulse_s", "1e-6", ""),
    ("device.periphery.w_min", -101, ""),
    ("device.periphery.clamped", 1, ""),
    ("device.io.out_nosie", 0.1, ""),
    ("device.io.mv_type", "TWO_PASS", ""),
    ("device.update.desired_bl", 0, ""),
    ("device.mapping.max_input_size", -1, ""),
    ("device.d2d.q.sigma", 0.1, ""),
    ("device.d2d.r.sigma", 11.0, ""),
    ("device.d2d.r.distribution", "normal", ""),
    ("device.c2c.T_0.direct", 0.1, ""),
    ("device.target.N_max.sigma", 0.1, ""),
    ("device.window.w_mid.sigma", 0.1, ""),
    ("device.read_noise", {"sigma": 0.1, "white": 0.1}, ""),
    ("device.read_noise.decades", 9, ""),
    ("device.stuck.low", 1.5, ""),
    ("device.correlation.names", ["r", "l"], ""),
    ("device.correlation", {"names": ["r", "q"], "matrix": [[1.0, 0.5], [0.5, 1.0]]}, ""),
    ("device.pulse_error.clip", 0, ""),
    ("device.intervention.kind", "match", ""),
    ("device.intervention", {"kind": "matched", "nominal": {"rr": 1}}, ""),
    ("device.aihwkit", "SoftBoundDevice", "device.dw_min"),
    ("device", {"aihwkit": "SoftBoundsDevice", "r": 45e-9}, ""),
    ("device", {"aihwkit": "SoftBoundsDevice", "settings": {"construction_seed": 1}}, ""),
    ("device.settings", {"dw_min": 0.1}, ""),
    ("factor", [DEMO["factor"][0]], ""),
    ("factor.0.name", "r.d2.sigma", ""),
    ("factor.0.range", [0.0], ""),
    ("factor.0.range", [-6.0, 0.5], ""),
    ("factor.0.rang", [0.0, 0.5], ""),
    ("factor.0.distribution", "gaussian", ""),
    ("design.method", "saltelli", ""),
    ("design.n", 1, ""),
    ("design.levels", 4, ""),
    ("design.arms", "cost", ""),
    ("design.replicate", 2, ""),
    ("design.groups", {"size": "r.d2d.sigma"}, ""),
    ("run.pack", "all", ""),
    ("run.pack", 0, ""),
    ("run.gpus_per_pack", "all", ""),
    ("run.deadline", 600, ""),
    ("tolerance.question", "both", ""),
    ("tolerance", {"target": 0.9, "drop": 0.02}, ""),
    ("tolerance.weights", {"r.d2d.sigma": -1}, ""),
    ("desing.n", 8, ""),
]


@pytest.mark.parametrize(("path", "value", "away"), SLIPS)
def test_slips_are_refused_by_reader_and_schema(
    schema: jsonschema.Draft7Validator, path: str, value: Any, away: str
) -> None:
    study = changed(path, value, away)
    assert not schema.is_valid(study)
    with pytest.raises(StudyError):
        Study.from_text(tomlkit.dumps(study))


TABLES = [
    *((name, fields) for name, fields in PLAIN.items() if name not in ("factor", "condition")),
    ("device", DEVICE),
    ("device.periphery", PERIPHERY),
    *((f"device.{name}", fields) for name, fields in (LAYER | MECHANISMS).items() if name != "correlation"),
    *((f"device.{kind}.{names[0]}", fields) for kind, (names, fields) in BY_NAME.items()),
]


def allowed(field: Declared) -> list[Any]:
    words = [*field.words, *field.instead] if field.kind != "text" else list(field.words)
    ends = {"number": [field.low, field.high], "whole": [field.low, field.high], "flag": [True, False]}
    return [*words, *ends.get(field.kind, [])]


@pytest.mark.parametrize(("name", "fields"), TABLES, ids=[name for name, _ in TABLES])
def test_all_that_is_declared_is_valid(
    schema: jsonschema.Draft7Validator, name: str, fields: dict[str, Declared]
) -> None:
    for key, field in fields.items():
        for value in allowed(field):
            study = changed(f"{name}.{key}", value)
            if field.only:
                study[name][field.only[0]] = field.only[1][0]
            if study["network"].get("preset") == "lenet":
                del study["network"]["hidden"]
            if study["design"].get("method") == "conditions":
                study = of_conditions()
            assert not [error.message for error in schema.iter_errors(study)], f"{name}.{key} = {value!r}"


def test_every_field_has_one_line_of_help() -> None:
    for name, fields in TABLES:
        for key, field in fields.items():
            assert field.meaning, f"{name}.{key}"
            assert "\n" not in field.meaning
