"""The limits design: one seed per block, each factor alone at its ends, and the interventions beside it."""

import numpy as np
import pytest

from vcm_sweep.sweep import LimitsDesign, Study, StudyError, build_design
from vcm_sweep.sweep.packs.order import corner_points
from vcm_sweep.sweep.running.extension import extended
from vcm_sweep.sweep.study.corners import check_corners

TEXT = """
[study]
name = "costs"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[device.read_noise]
sigma = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "T_0.global.mean"
range = [283.0, 323.0]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[[factor]]
name = "stuck.total.fraction"
range = [0.001, 0.03]
distribution = "loguniform"
[[factor]]
name = "network.lr"
range = [0.02, 0.04]
[design]
method = "limits"
n = 8
"""


def design(*changes: tuple[str, str]) -> LimitsDesign:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    made = build_design(Study.from_text(text))
    assert isinstance(made, LimitsDesign)
    return made


def test_each_factor_stands_alone_at_the_ends_that_are_not_nominal() -> None:
    made = design()
    assert made.nominal == {
        "r.d2d.sigma": 0.0, "T_0.global.mean": 293.0, "read.noise.sigma": 0.02, "stuck.total.fraction": 0.0,
        "network.lr": 0.02,
    }  # fmt: skip
    assert (made.rows[0].factor, made.rows[0].arm) == ("", "")
    assert [(row.factor, row.end, row.level) for row in made.rows[1:]] == [
        ("r.d2d.sigma", "high", 0.08),
        ("T_0.global.mean", "low", 283.0),
        ("T_0.global.mean", "high", 323.0),
        ("read.noise.sigma", "low", 0.0),
        ("read.noise.sigma", "high", 0.05),
        ("stuck.total.fraction", "high", 0.03),
        ("network.lr", "high", 0.04),
    ]
    nominal = made.points[0]
    for row, point in zip(made.rows[1:], made.points[1 : made.block], strict=True):
        changed = np.flatnonzero(point != nominal)
        assert [made.study.factors[k].name for k in changed] == [row.factor]
        assert point[changed[0]] == row.level


def test_pulses_that_are_chosen_have_interventions_and_what_reads_has_none() -> None:
    chosen = (
        ("r.d2d.sigma", "device.set_voltage_v"), ("[0.0, 0.08]", "[-0.35, -0.33]"),
        ("T_0.global.mean", "device.pulse_s"), ("[283.0, 323.0]", "[1e-6, 2e-6]"),
        ("read.noise.sigma", "io.inp_bits"), ("[0.0, 0.05]", "[5, 8]"),
    )  # fmt: skip
    made = design(*chosen, ("n = 8", 'n = 8\narms = "mediation"'))
    made.check()
    arms = {name: sum(row.factor == name and bool(row.arm) for row in made.rows) for name in made.nominal}
    assert arms == {
        "device.set_voltage_v": 8, "device.pulse_s": 4, "io.inp_bits": 0, "stuck.total.fraction": 0, "network.lr": 0,
    }  # fmt: skip
    # The nominal device of an intervention has the nominal pulses.
    row = next(k for k, row in enumerate(made.rows) if row.arm and row.factor == "device.pulse_s")
    given = made.trial(row, 0).inputs["device"]
    assert (given["pulse_s"], given["intervention"]["nominal"]["pulse_s"]) == (2e-6, 1e-6)


def test_a_block_has_one_seed_and_every_block_another() -> None:
    made = design()
    seeds = np.array([trial.seed for trial in made.trials()]).reshape(8, made.block)
    assert (seeds == seeds[:, :1]).all()
    assert len(set(seeds[:, 0])) == 8


def test_more_seeds_keep_what_is_done() -> None:
    short, long = design(), design(("n = 8", "n = 12"))
    assert np.array_equal(long.points[: len(short.points)], short.points)
    assert [t.key for t in short.trials()] == [t.key for t in long.trials()][: len(short)]
    assert extended(short.study, to=12).design.n == 12


def test_arms_keep_the_keys_of_the_costs() -> None:
    costs, arms = design(), design(("n = 8", 'n = 8\narms = "mediation"'))
    assert {t.key for t in costs.trials()} < {t.key for t in arms.trials()}


def test_interventions_follow_the_factors_that_change_a_pulse() -> None:
    made = design(("n = 8", 'n = 8\narms = "mediation"'))
    arms = {name: [row.arm for row in made.rows if row.factor == name] for name in made.nominal}
    four = ["", "matched", "mismatch_only", "speed_matched", "speed_only"]
    assert arms["r.d2d.sigma"] == four
    assert arms["T_0.global.mean"] == four + four
    # Reading, stuck cells and the learning rate change no step of a cell that moves.
    assert arms["read.noise.sigma"] == ["", ""]
    assert arms["stuck.total.fraction"] == arms["network.lr"] == [""]
    at = made.rows.index(next(row for row in made.rows if row.arm == "mismatch_only" and row.end == "low"))
    inputs = made.trial(at, 0).inputs
    intervention = inputs["device"].pop("intervention")
    assert inputs["device"]["T_0"] == 283.0
    assert intervention["kind"] == "mismatch_only"
    # The whole device without the factor, other noise of the study included.
    assert intervention["nominal"]["T_0"] == 293.0
    nominal = made.trial(0, 0).inputs["device"]
    assert intervention["nominal"] == {name: nominal[name] for name in nominal if name not in ("io", "update")}
    assert intervention["nominal"]["read_noise"]["sigma"] == 0.02
    assert len({trial.key for trial in made.trials()}) == len(made)


def test_the_first_packs_can_be_chosen() -> None:
    """A nominal value outside a loguniform range has no place on its scale."""
    made = design()
    assert np.isfinite(made.scaled()).all()
    assert made.scaled().min() >= 0.0
    assert made.scaled().max() <= 1.0
    assert len(corner_points(made)) >= 8
    check_corners(made.study.device, made.study.factors)


def test_settings_of_aihwkit_have_its_own_defaults_as_nominal_values() -> None:
    from aihwkit.simulator.configs import SoftBoundsDevice

    text = (
        TEXT[: TEXT.index("[device.read_noise]")]
        + """
[device]
aihwkit = "SoftBoundsDevice"
[[factor]]
name = "aihwkit.up_down_dtod"
range = [0.0, 0.1]
[[factor]]
name = "aihwkit.dw_min"
range = [1e-4, 1e-2]
[design]
method = "limits"
n = 8
arms = "mediation"
"""
    )
    made = build_design(Study.from_text(text))
    assert isinstance(made, LimitsDesign)
    assert made.nominal["aihwkit.up_down_dtod"] == SoftBoundsDevice().up_down_dtod
    assert made.nominal["aihwkit.dw_min"] == SoftBoundsDevice().dw_min
    assert all(row.arm == "" for row in made.rows)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("replicates = 2", "replicates = 2 is not for method = 'limits': each of its n is a seed, raise n"),
        ("replicate_rows = 4", "replicate_rows = 4 is not for method = 'limits'"),
        ('seeds = "independent"', "seeds = 'independent' is not for method = 'limits', which compares pairs"),
        ('arms = "all"', "arms = 'all' must be one of 'cost', 'mediation'"),
        ("levels = 4", "unknown key 'levels'"),
    ],
)
def test_what_pairs_cannot_have_is_refused(more: str, words: str) -> None:
    with pytest.raises(StudyError, match=words.replace("[", r"\[")):
        design(("n = 8", f"n = 8\n{more}"))


def test_arms_belong_to_limits() -> None:
    with pytest.raises(StudyError, match="unknown key 'arms'"):
        Study.from_text(TEXT.replace('method = "limits"\nn = 8', 'n = 8\narms = "cost"'))


@pytest.mark.parametrize(
    ("name", "span", "more", "device", "ends", "message"),
    [
        (
            "network.train_samples",
            "[100, 400]",
            "",
            "",
            [],
            r"\[network\] train_samples = 0 is no value of .*: give one",
        ),
        ("network.train_samples", "[100, 400]", "train_samples = 200\n", "", [100.0, 400.0], ""),
        ("io.inp_res", "[10, 200]", "", "", [10.0, 200.0], ""),
        ("io.inp_res", "[0.001, 0.1]", "", "", [0.001, 0.1], ""),
        ("io.inp_res", "[0.001, 0.1]", "", "[device.io]\ninp_res = 50\n", [0.001, 0.1], ""),
        (
            "io.inp_res",
            "[10, 200]",
            "",
            "[device.io]\ninp_res = 0\n",
            [],
            r"\[device\.io\] inp_res = 0.0 is no value of",
        ),
    ],
)
def test_nominal_values_mean_what_the_factors_do(
    name: str, span: str, more: str, device: str, ends: list[float], message: str
) -> None:
    changes = [("network.lr", name), ("[0.02, 0.04]", span), ("batch = 32\n", f"batch = 32\n{more}")]
    changes += [("[device.read_noise]", f"{device}[device.read_noise]")]
    if message:
        with pytest.raises(StudyError, match=message):
            design(*changes)
        return
    assert [row.level for row in design(*changes).rows if row.factor == name] == ends
