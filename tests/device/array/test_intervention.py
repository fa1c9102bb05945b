"""Interventions: at equal weights, the acting cell's SET and RESET steps have the speed and the mismatch they should.

With S and R the steps of the weight, sigma = (ln S + ln R)/2 and mu = ln(R/S). Steps are those of real pulses, read by
the reference's own current; of a cell's true steps, scipy integrates the reference's equations.
"""

import math

import numpy as np
import pytest
import torch
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.device import (
    INTERVENTIONS,
    ArraySeeds,
    CellParameters,
    DeviceError,
    Intervention,
    Mismatch,
    Periphery,
    PulseError,
    Spread,
    StuckCells,
    TargetWalk,
    Variability,
    VCMDevice,
    Walk,
    array_figures,
)
from vcm_sweep.device.array.cell_arrays import CellArrays

from ..arrays import fire, log_n
from ..reference import V_RESET, V_SET, reference_concentration, reference_pulse, reference_weight

WEIGHTS = (-1.2, -0.4, 0.3, 1.2)
SPREADS = {
    "r": Variability(d2d={"r": Spread(0.05)}),
    "l": Variability(d2d={"l": Spread(0.1)}),
    "nu_0": Variability(d2d={"nu_0": Spread(0.2)}),
    "mismatch": Variability(mismatch=Mismatch(0.2, 0.5)),
    "dW_A": Variability(d2d={"dW_A": Spread(0.005, 0.1)}),
}
# What each kind has of the nominal cell (0) and of the disturbed one (1): speed, mismatch.
SHARES = {"matched": (1, 0), "mismatch_only": (0, 1), "speed_matched": (0, 1), "speed_only": (1, 0)}


def made(device, side=4):
    return CellArrays([device], side, side, [ArraySeeds(1, 2, 3)], 0)


def device(variability=None, kind=None, nominal=None, **rest):
    intervention = None if kind is None else Intervention(kind, nominal)
    return VCMDevice(variability=variability or Variability(), intervention=intervention, **rest)


def explicit_weight(cell, n):
    low, high = cell.current(0.2, 0.06), cell.current(0.2, 1.98974521274400865)
    return -1.5 + 3 * (np.array([cell.current(0.2, x) for x in n]) - low) / (high - low)


def read(cells, x, reference_cell):
    """Weights of ln N ``x``, float64, by the reference's read current."""
    if cells.devices[0].model == "explicit":
        return explicit_weight(reference_cell(), np.exp(x))
    own = {name: getattr(cells, f"base_{name}")[0].double().numpy() for name in ("r", "l")}
    if "dW_A" in cells.varied_names:
        own["dW_A"] = cells.varied[0, 0].double().numpy()
    return reference_weight(np.exp(x), own | {"T_0": float(cells.devices[0].parameters.T_0)})


def logs(spec, w, reference_cell):
    """(ln S, ln R) of every cell at w: one pulse each."""
    out = []
    for direction in (1, -1):
        cells = made(spec)
        cells.program(torch.full((1, 4, 4), w), verify=False)
        before = log_n(cells)
        fire(cells, direction)
        moved = read(cells, log_n(cells), reference_cell) - read(cells, before, reference_cell)
        out.append(np.log(moved * direction))
    return out


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("model", [pytest.param("full", marks=pytest.mark.slow), "explicit"])
def test_pulses_have_the_speed_of_one_cell_and_the_mismatch_of_the_other(model, name, reference_cell):
    for w in WEIGHTS:
        arms = [logs(device(spread, model=model), w, reference_cell) for spread in (None, SPREADS[name])]
        sigma, mu = ([f(s, r) for s, r in arms] for f in (lambda s, r: (s + r) / 2, lambda s, r: r - s))
        if name in ("r", "l", "mismatch") and (model, name) != ("explicit", "l"):
            assert np.abs(mu[1] - mu[0]).max() > 0.1, "there is something to take out"
        for kind, (speed, mismatch) in SHARES.items():
            s, r = logs(device(SPREADS[name], kind, model=model), w, reference_cell)
            np.testing.assert_allclose((s + r) / 2, sigma[speed], rtol=0, atol=2e-3, err_msg=f"speed, {kind}, w = {w}")
            np.testing.assert_allclose(r - s, mu[mismatch], rtol=0, atol=2e-3, err_msg=f"mismatch, {kind}, w = {w}")


@pytest.mark.parametrize("pulses", [{"set_voltage_v": -0.345}, {"reset_voltage_v": 0.715}, {"pulse_s": 2e-6}])
def test_an_operating_point_has_speed_and_mismatch_of_its_own_too(pulses, reference_cell):
    nominal = device(model="explicit")
    for w in (-0.4, 0.3):
        arms = [logs(spec, w, reference_cell) for spec in (nominal, device(model="explicit", **pulses))]
        sigma, mu = ([f(s, r) for s, r in arms] for f in (lambda s, r: (s + r) / 2, lambda s, r: r - s))
        moved = np.abs(sigma[1] - sigma[0]) + np.abs(mu[1] - mu[0])
        assert moved.min() > 0.1, "there is something to take out"
        for kind, (speed, mismatch) in SHARES.items():
            s, r = logs(device(None, kind, nominal, model="explicit", **pulses), w, reference_cell)
            np.testing.assert_allclose((s + r) / 2, sigma[speed], rtol=0, atol=2e-3, err_msg=f"speed, {kind}, w = {w}")
            np.testing.assert_allclose(r - s, mu[mismatch], rtol=0, atol=2e-3, err_msg=f"mismatch, {kind}, w = {w}")


@pytest.mark.parametrize("method", ["tabulated", "direct"])
@pytest.mark.parametrize("kind", INTERVENTIONS)
def test_steps_are_those_that_scipy_finds_for_both_cells(kind, method):
    """Cells of 40.5, 45 and 49.5 nm and an own length, at two weights: S and R integrated by Radau."""
    w = 0.2
    # Tables know a radius where it spreads: so far that both are within, and then it is set.
    wide = Variability(d2d={"r": Spread(0.05, 0.12), "l": Spread(0.05, 0.12)})
    cells = made(device(wide, kind, model="full", method=method), 1)
    disturbed = cells if kind.endswith("matched") else cells.partner
    for r, length in ((40.5e-9, 0.4e-9), (49.5e-9, 0.36e-9)):
        disturbed.base_r.fill_(r)
        disturbed.base_l.fill_(length)
        both, sigma, mu = ({}, {"r": r, "l": length}), [], []
        for cell in both:
            n = reference_concentration(w, cell)
            after = np.array([reference_pulse(n, v, 1e-6, cell) for v in (V_SET, V_RESET)])
            steps = np.log(np.abs(reference_weight(after, cell) - w))
            sigma.append(steps.mean())
            mu.append(steps[1] - steps[0])
        own, (speed, mismatch) = both[disturbed is cells], SHARES[kind]
        for direction in (1, -1):
            cells.program(torch.full((1, 1, 1), w), verify=False)
            before = reference_weight(np.exp(log_n(cells)), own)
            assert before == pytest.approx(w, abs=1e-4)
            fire(cells, direction)
            step = np.log((reference_weight(np.exp(log_n(cells)), own) - before) * direction)
            assert step == pytest.approx(sigma[speed] - direction * mu[mismatch] / 2, abs=3e-3)


@pytest.mark.parametrize("kind", ["matched", "mismatch_only"])
def test_short_pulses_last_by_the_factor_of_the_definition(kind, reference_cell):
    """k = e^(+-(mu - mu0)/2) on a pulse of 1 ns, mu of rates: the equations integrated for the longer time."""
    spec = device(SPREADS["mismatch"], kind, model="explicit", pulse_s=1e-9)
    plain = made(device(SPREADS["mismatch"], model="explicit", pulse_s=1e-9))
    for direction, volts in ((1, V_SET), (-1, V_RESET)):
        cells = made(spec)
        n = math.exp(log_n(cells)[0])
        fire(cells, direction)
        boost = plain.boost[0].double().numpy()
        if kind == "matched":
            k = boost**direction  # undoes the cell's own, boost^-direction
            factors = k * boost**-direction
        else:
            factors = boost**-direction
        for moved, factor in zip(log_n(cells) - math.log(n), factors, strict=True):
            assert moved == pytest.approx(reference_cell().displacement(n, volts, 1e-9 * factor), rel=2e-3)


def train(cells, steps=6, size=4):
    for k in range(steps):
        random = torch.Generator().manual_seed(k)
        x, d = torch.rand(1, 4, size, generator=random) - 0.3, 0.2 * torch.randn(1, 4, size, generator=random)
        trials = cells.trials
        cells.pulse(
            x.expand(trials, -1, -1),
            d.expand(trials, -1, -1),
            [0.05] * trials,
            [UpdateParameters()] * trials,
            [1] * trials,
            k,
        )
    assert cells.counters[0, :2].min() > 20
    return log_n(cells)


@pytest.mark.parametrize("model", ["full", "explicit"])
def test_a_cells_own_mismatch_is_taken_out_exactly_and_its_prefactor_is_speed_alone(model):
    """The two cases that are known on paper: [device.mismatch] is mu alone, nu_0 in short pulses sigma alone."""
    short = {"model": model, "pulse_s": 1e-9}
    nominal = train(made(device(None, **short)))
    assert np.abs(train(made(device(SPREADS["mismatch"], **short))) - nominal).max() > 1e-4
    np.testing.assert_allclose(train(made(device(SPREADS["mismatch"], "matched", **short))), nominal, rtol=0, atol=2e-5)
    np.testing.assert_allclose(
        train(made(device(SPREADS["nu_0"], "speed_matched", **short))), nominal, rtol=0, atol=2e-5
    )
    faster = train(made(device(SPREADS["nu_0"], **short)))
    assert np.abs(faster - nominal).max() > 1e-4
    np.testing.assert_allclose(train(made(device(SPREADS["nu_0"], "matched", **short))), faster, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", INTERVENTIONS)
def test_cells_whose_radius_walks_are_compared_as_they_are_at_each_pulse(kind):
    """The walk goes on in the cell that walks, acting or not, by the numbers of the array without an intervention."""
    walks = Variability(c2c={"r": Walk(0.02, clip=0.1)})
    cells, plain = made(device(walks, kind, model="full"), 2), made(device(walks, model="full"), 2)
    disturbed = cells if kind.endswith("matched") else cells.partner
    for k, direction in enumerate((1, -1, -1)):
        radius = disturbed.walked_r[0].double().numpy()
        at, before = {"r": radius}, log_n(cells)
        own = at if disturbed is cells else {}
        w = reference_weight(np.exp(before), own)
        fire(cells, direction, key=k)
        fire(plain, direction, key=k)
        assert torch.equal(disturbed.walked_r, plain.walked_r)
        moved = reference_weight(np.exp(log_n(cells)), own) - w
        for i in (0, 3):
            sigma, mu = [], []
            for cell in ({}, {"r": radius[i]}):
                n = reference_concentration(w[i], cell)
                s, r = (
                    math.log(abs(float(reference_weight(reference_pulse(n, v, 1e-6, cell), cell)) - w[i]))
                    for v in (V_SET, V_RESET)
                )
                sigma.append((s + r) / 2)
                mu.append(r - s)
            speed, mismatch = SHARES[kind]
            assert math.log(moved[i] * direction) == pytest.approx(
                sigma[speed] - direction * mu[mismatch] / 2, abs=5e-3
            )
    assert np.ptp(disturbed.walked_r[0].numpy()) > 1e-10


@pytest.mark.parametrize(("kind", "acts"), [("matched", 1), ("mismatch_only", 0)])
def test_an_error_of_a_pulse_is_half_mismatch_and_half_speed(kind, acts):
    """A pulse that is longer by a factor moves S and not R: ln S' = (ln S + ln S0)/2 in either arm."""
    error = Variability(pulse=PulseError(width=0.1))
    short = {"model": "explicit", "pulse_s": 1e-9}
    start = log_n(made(device(None, **short)))
    moved = []
    for spec in (device(None, **short), device(error, **short), device(error, kind, **short)):
        cells = made(spec)
        fire(cells, 1)
        moved.append(np.log(log_n(cells) - start))
    assert np.ptp(moved[1]) > 0.1
    np.testing.assert_allclose(moved[2], (moved[0] + moved[1]) / 2, rtol=0, atol=2e-3)
    assert made(device(error, kind)).devices[0].variability.pulse.active == bool(acts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", INTERVENTIONS)
def test_a_factor_of_the_whole_array_has_a_nominal_device_of_its_own(kind, reference_cell):
    warm, nominal = CellParameters(T_0=315.0), device(model="full")
    for w in WEIGHTS:
        arms = [logs(spec, w, reference_cell) for spec in (nominal, device(model="full", parameters=warm))]
        sigma, mu = [(s + r) / 2 for s, r in arms], [r - s for s, r in arms]
        assert abs(sigma[1] - sigma[0]).max() > 0.3
        speed, mismatch = SHARES[kind]
        s, r = logs(device(None, kind, nominal, model="full", parameters=warm), w, reference_cell)
        np.testing.assert_allclose((s + r) / 2, sigma[speed], rtol=0, atol=2e-3)
        np.testing.assert_allclose(r - s, mu[mismatch], rtol=0, atol=2e-3)


def test_what_both_devices_have_is_drawn_alike_and_what_a_factor_adds_is_the_disturbed_ones():
    base = {"d2d": {"r": Spread(0.05)}, "stuck": StuckCells(0.1, 0.1), "read_noise": 0.02}
    factor = Variability(**(base | {"d2d": {"r": Spread(0.05), "dW_A": Spread(0.005, 0.1), "T_0": Spread(0.01)}}))
    nominal = device(Variability(**base), model="full")
    plain = made(device(factor, model="full"))
    for kind in INTERVENTIONS:
        cells = made(device(factor, kind, nominal, model="full"))
        disturbed = cells if kind.endswith("matched") else cells.partner
        assert torch.equal(disturbed.base_r, plain.base_r)
        assert torch.equal(disturbed.varied, plain.varied)
        # dW_A and T_0 are drawn before r: the nominal cells draw them too, and leave them.
        assert torch.equal(cells.base_r, cells.partner.base_r)
        assert torch.equal(cells.stuck, cells.partner.stuck)
        assert cells.devices[0].variability.read_noise.sigma == 0.02


@pytest.mark.parametrize("kind", ["matched", "mismatch_only"])
def test_a_stacked_trial_is_the_trial_alone_and_goes_on_bit_for_bit(kind):
    walks = Variability(
        d2d={"l": Spread(0.05)}, c2c={"r": Walk(0.02), "N_min": Walk(0.05, 0.1)}, mismatch=Mismatch(0, 0.2)
    )
    devices = (device(walks, model="full"), device(walks, kind, model="full"), device(None, kind, model="explicit"))
    seeds = [ArraySeeds(k, k, k) for k in range(3)]
    together = CellArrays(devices, 4, 4, seeds, 0)
    train(together)
    for k, spec in enumerate(devices):
        alone = CellArrays([spec], 4, 4, seeds[k : k + 1], 0)
        train(alone)
        assert torch.equal(alone.log_n[0], together.log_n[k])
        assert torch.equal(alone.weight[0], together.weight[k])
        resumed = CellArrays([spec], 4, 4, seeds[k : k + 1], 0)
        resumed.load_state(0, alone.state(0))
        assert np.array_equal(train(alone), train(resumed))
    assert ("partner.walked_r" in together.state(1)) == (kind == "mismatch_only")


def test_figures_of_a_matched_array_are_those_of_its_pulses():
    for kind in INTERVENTIONS:
        found = made(device(SPREADS["mismatch"], kind, model="full")).asymmetry(0)
        assert (float(found.std()) > 0.1) == (kind in ("mismatch_only", "speed_matched")), kind


def test_the_total_asymmetry_of_an_intervention_has_the_speed_of_one_cell_and_the_mismatch_of_the_other():
    """Cells of many speeds in which all have the nominal match have it in total; of one speed, each counts alike."""
    total = {k: array_figures([made(device(SPREADS["r"], k))], 0).asymmetry_total for k in (None, *INTERVENTIONS)}
    nominal = array_figures([made(device())], 0).asymmetry_mean
    each = made(device(SPREADS["r"])).asymmetry(0)
    alike = float(torch.log((each / 2).exp().sum() / (each / -2).exp().sum()))
    assert abs(total[None] - alike) > 0.05
    for kind, (_, mismatch) in SHARES.items():
        assert total[kind] == pytest.approx((nominal, alike)[mismatch], abs=2e-3), kind


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Intervention("match"), ["'match'", "'matched', 'mismatch_only'"]),
        (lambda: device(None, "matched", device(model="full")), ["intervention.nominal", "model", "'full'"]),
        (lambda: device(None, "matched", device(periphery=Periphery(-1.0, 1.0))), ["periphery", "-1.0"]),
        (lambda: device(None, "matched", device(None, "matched")), ["intervention of its own"]),
        (lambda: device(None, "matched", 3), ["intervention.nominal = 3", "VCMDevice"]),
        (lambda: VCMDevice(intervention="matched"), ["intervention = 'matched'"]),
        (lambda: device(Variability(targets={"r": TargetWalk(0.1)}), "matched"), ["targets", "c2c"]),
    ],
)
def test_what_cannot_be_is_one_line(build, words):
    with pytest.raises(DeviceError) as caught:
        build()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def pulsed_twice(cells: CellArrays, there: str) -> CellArrays:
    """Two batches on a device."""
    x, d = (torch.randn(2, 3, n, generator=torch.Generator().manual_seed(n)) for n in (4, 5))
    moved = cells.to(there)
    for call in range(2):
        moved.pulse(x.to(there), d.to(there), [0.02, 0.02], [UpdateParameters()] * 2, [5, 6], call)
    return moved.to("cpu")


def with_an_intervention() -> CellArrays:
    walking = Variability(d2d={"r": Spread(0.02)}, c2c={"l": Walk(direct=0.01, clip=0.1)})
    return CellArrays([device(walking, "matched"), device()], 5, 4, [ArraySeeds(k, 2, 3) for k in (1, 2)], 0)


def test_cells_of_a_mock_of_a_gpu_come_to_the_cpu_for_their_pulses_and_go_back(monkeypatch):
    """The mock: whether cells are on a GPU is what was last asked for."""
    where = ["cuda"]
    usual = CellArrays.cpu
    monkeypatch.setattr(CellArrays, "_elsewhere", property(lambda cells: where[-1] != "cpu"))
    monkeypatch.setattr(CellArrays, "cpu", lambda cells: (where.append("cpu"), usual(cells))[1])
    monkeypatch.setattr(CellArrays, "to", lambda cells, device: (where.append("cuda"), cells)[1])
    where.append("cpu")
    cells = with_an_intervention()
    del where[:]
    under_test = pulsed_twice(cells, "cpu")
    assert where == ["cuda", *["cpu", "cuda"] * 2, "cuda"]
    monkeypatch.undo()
    expected = pulsed_twice(with_an_intervention(), "cpu")
    assert (expected.counters[:, :2] > 0).all()
    for name, buffer in expected.named_buffers():
        assert torch.equal(buffer, under_test.get_buffer(name)), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cells_with_an_intervention_are_pulsed_from_a_gpu_as_on_a_cpu():
    expected, under_test = (pulsed_twice(with_an_intervention(), there) for there in ("cpu", "cuda"))
    for name, buffer in expected.named_buffers():
        assert torch.equal(buffer, under_test.get_buffer(name)), name
