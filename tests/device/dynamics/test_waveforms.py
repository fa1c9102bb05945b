"""Cells under waveforms against scipy, piece by piece; what a waveform may be."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from vcm_sweep.device import CellParameters, DeviceError, Waveform, integrate, respond

DOUBLE = torch.float64


def scipy_course(cell, n, times, volts, at):
    """N at times ``at`` by Radau from point to point; V = 0 and jumps as the physics notes have them."""
    x, found = math.log(n), {}
    for (t0, v0), (t1, v1) in zip(zip(times, volts), zip(times[1:], volts[1:]), strict=False):  # noqa: B905
        if t1 == t0:
            continue
        inside = sorted({t for t in at if t0 < t < t1} | {t1})

        def slope(t, y, t0=t0, t1=t1, v0=v0, v1=v1):
            state = math.exp(y[0])
            return [cell.rate(v0 + (v1 - v0) * (t - t0) / (t1 - t0), state) / state]

        # Without a limit Radau's trials leave the range of numbers where the rate grows by decades.
        limits = {"first_step": 1e-4 * (t1 - t0), "max_step": 5e-3 * (t1 - t0)}
        done = solve_ivp(slope, (t0, t1), [x], method="Radau", rtol=1e-9, atol=1e-11, t_eval=inside, **limits)
        assert done.success
        found |= dict(zip(done.t.tolist(), done.y[0].tolist(), strict=True))
        x = done.y[0, -1]
    return found


@pytest.mark.parametrize("cell", [{}, {"r": 40e-9, "l": 0.3e-9}])
@pytest.mark.parametrize(
    ("n", "times", "volts"),
    [
        (0.3, (0.0, 2e-6, 4e-6), (0.0, -0.4, 0.0)),
        (0.3, (0.0, 2e-6, 4e-6), (0.0, 0.8, 0.0)),
        (0.5, (0.0, 3e-6, 5e-6), (-0.35, 0.7, 0.6)),  # through 0 inside a piece
        (0.2, (1e-6, 2e-6, 2e-6, 3e-6, 3e-6, 4e-6), (-0.3, -0.36, 0.0, 0.0, 0.75, 0.65)),  # jumps, rest, a late start
    ],
)
def test_ramps_and_jumps_agree_with_scipy(reference_cell, cell, n, times, volts):
    got = respond(n, Waveform(times, volts), CellParameters(**cell), points=7)
    exact = scipy_course(reference_cell(**cell), n, times, volts, got.time_s.tolist())
    moved = 0.0
    for t, state in zip(got.time_s.tolist(), got.n.tolist(), strict=True):
        if t > times[0]:
            near = min(exact, key=lambda other, t=t: abs(other - t))
            assert near == pytest.approx(t, rel=1e-12)
            way = exact[near] - math.log(n)
            moved = max(moved, abs(way))
            assert math.log(state / n) == pytest.approx(way, rel=2e-5, abs=1e-9)
    assert moved > 1e-3


def test_current_and_temperature_are_those_of_the_sampled_state(reference_cell):
    got = respond(0.3, Waveform.triangle(-0.4, 0.7, 1e5), points=5)
    cell = reference_cell()
    for v, n, i, t in zip(*(x.tolist() for x in (got.voltage_v, got.n, got.current_a, got.temperature_k)), strict=True):
        assert i == pytest.approx(cell.current(v, n), rel=1e-12)
        assert t == pytest.approx(cell.temperature(v, n), rel=1e-12)


def test_a_train_is_its_pulses():
    n = torch.tensor([0.1, 0.3, 1.0], dtype=DOUBLE)
    got = respond(n, Waveform.pulse_train(-0.342, 1e-6, count=3, gap_s=5e-7), points=4)
    state = n
    for _ in range(3):
        state = integrate(state, -0.342, 1e-6)
    torch.testing.assert_close(got.n[-1], state, rtol=1e-8, atol=0)
    assert got.time_s[-1].item() == pytest.approx(4e-6)
    gap = got.voltage_v == 0
    assert gap.sum() == 2 * 5
    for start in (1e-6, 2.5e-6):
        rest = got.n[gap & (got.time_s > start * 0.99) & (got.time_s < start + 5.1e-7)]
        assert torch.equal(rest, rest[:1].expand_as(rest))


def test_shapes_and_samples():
    r = torch.tensor([[44e-9], [45e-9]], dtype=DOUBLE)
    n = torch.tensor([0.1, 0.3, 1.0], dtype=DOUBLE)
    got = respond(n, Waveform.triangle(-0.3, 0.5, 1e6), CellParameters(r=r), points=6)
    assert got.time_s.shape == got.voltage_v.shape == (25,)
    assert got.n.shape == got.current_a.shape == got.temperature_k.shape == (25, 2, 3)
    assert got.validity.outside.shape == (2, 3)
    assert (got.time_s.diff() > 0).all()
    jump = respond(0.3, Waveform((0.0, 1e-6, 1e-6, 2e-6), (-0.3, -0.3, 0.5, 0.5)), points=1)
    assert jump.time_s.tolist() == [0.0, 1e-6, 1e-6, 2e-6]
    assert jump.voltage_v.tolist() == [-0.3, -0.3, 0.5, 0.5]
    assert jump.n.shape == (4,)


def test_nothing_moves_at_zero_volts():
    got = respond(0.3, Waveform((0.0, 1e3), (0.0, 0.0)), points=3)
    assert got.n.tolist() == [0.3] * 4
    assert got.current_a.tolist() == [0.0] * 4
    assert not got.validity.outside


def test_a_sweep_switches_a_cell_and_back():
    """The hysteresis that a quasi-static I-V curve shows: low on the way up, high on the way back."""
    got = respond(0.06, Waveform.triangle(-0.42, 0.9, 1e3, cycles=2), points=40)
    assert got.n[80].item() > 1.4
    up, back = got.current_a[20].abs().item(), got.current_a[60].abs().item()
    assert got.voltage_v[20].item() == pytest.approx(got.voltage_v[60].item())
    assert back > 2 * up
    assert got.n[160].item() < 0.1
    assert (got.n >= 0.008).all()
    assert (got.n <= 20).all()


def test_extremes_are_seen_between_samples(reference_cell):
    """One sample at each end, at 0 V and room temperature, sees nothing; the course between them does."""
    times, volts, cell = (0.0, 1e-8, 2e-8), (0.0, -1.0, 0.0), reference_cell()
    got = respond(0.3, Waveform(times, volts), points=1)
    course = scipy_course(cell, 0.3, times, volts, np.linspace(0, 2e-8, 4001).tolist())
    states = [(float(np.interp(t, times, volts)), math.exp(x)) for t, x in course.items()]
    hottest = max(cell.temperature(v, n) for v, n in states)
    fastest = min(n / abs(rate) for v, n in states if (rate := cell.rate(v, n)))
    assert hottest > 1000
    assert fastest < 5e-9
    assert got.validity.outside
    assert got.validity.worst_temperature_k == pytest.approx(hottest, rel=0.01)
    assert got.validity.fastest_switching_s == pytest.approx(fastest, rel=0.05)


@pytest.mark.parametrize("model", ["explicit", "full"])
def test_compiled_steps_are_those_that_gradients_flow_through(model):
    """The same steps by other code: alike to the rounding that an avalanche enlarges, extremes too."""
    ramp = Waveform((0.0, 1e-6, 1e-6, 3e-6), (-0.3, -0.36, 0.6, 0.7))
    r = torch.tensor([45e-9, 40.5e-9], dtype=torch.float64)
    varied = r.clone().requires_grad_()
    quick = respond(0.3, ramp, CellParameters(r=r), model, points=2)
    slow = respond(0.3, ramp, CellParameters(r=varied), model, points=2)
    for ours, theirs in zip(quick[:5], slow[:5], strict=True):
        assert torch.allclose(ours, theirs.detach(), rtol=1e-8, atol=0)
    assert quick.validity.worst_temperature_k == pytest.approx(slow.validity.worst_temperature_k, rel=1e-8)
    assert quick.validity.fastest_switching_s == pytest.approx(slow.validity.fastest_switching_s, rel=1e-8)
    (gradient,) = torch.autograd.grad(slow.n[1].sum(), varied)
    assert (gradient < 0).all()  # a wider filament is colder and slower


def test_a_field_beyond_the_model_stops_or_marks():
    cell = CellParameters(r=5e-9, mu_n=1e-6)
    ramp = Waveform((0.0, 1e-9, 2e-9), (0.0, -1.5, 0.0))
    with pytest.raises(DeviceError, match=r"gamma.* 1 of 1 cells"):
        respond(0.01, ramp, cell)
    got = respond(0.01, ramp, cell, on_invalid="record")
    assert got.validity.outside
    assert torch.isfinite(got.n).all()


def test_pieces_have_one_sign():
    pieces = Waveform((0.0, 4.0, 4.0, 5.0, 6.0), (-1.0, 3.0, -2.0, 0.0, 0.0)).segments()
    assert pieces == [(0.0, 1.0, -1.0, 0.0), (1.0, 4.0, 0.0, 3.0), (4.0, 5.0, -2.0, 0.0), (5.0, 6.0, 0.0, 0.0)]


def test_a_file_is_read(tmp_path):
    file = tmp_path / "wave.csv"
    file.write_text("time_s, voltage_v\n0,-0.3\n1e-6,-0.3\n1e-6,0.5\n\n2e-6,0.5\n")
    assert Waveform.from_csv(file) == Waveform((0.0, 1e-6, 1e-6, 2e-6), (-0.3, -0.3, 0.5, 0.5))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time_s,voltage_v\n0,0\n1e-6,nan\n", "no reading of voltage_v (from line 3)"),
        ("time_s,voltage_v\n" + "".join(f"{k},0\n" for k in range(20)) + "inf,1\n", "line 22: time_s must be finite"),
        ("time_s,voltage_v\n0,0\n2,0\n\n1,0\n", "time_s in line 5 = 1 must be at least time_s in line 3 = 2"),
        (
            "time_s,voltage_v\n0,0\n0,1\n0,2\n1,0\n",
            "line 4 = 0 is the third point at this time, and a jump has two: remove one, or",
        ),
        ("time_s,voltage_v\n0,0\n", "1 rows after its header"),
        ("time_s,voltage_v\n0,0\n0,1\n", "at least 2 points at different times"),
        ("", "it has no rows of numbers"),
        ("time_s,voltage_v\n0,0\n1\n", "line 3 has 1 values, the others 2"),
        ("time_s,voltage_v\n0,0\n1,fast\n", "line 3: voltage_v = 'fast' must be a number"),
        ("0,0\n1,1\n", "column time_s of a waveform is not found; the file has no header, 2 columns"),
        ("time_s,voltage_v\n0,0\n1,500\n2,0\n", "in mV? say --columns voltage_v=voltage_v:mV"),
    ],
)
def test_a_wrong_file_is_one_line_with_the_row(tmp_path, text, words):
    file = tmp_path / "wave.csv"
    file.write_text(text)
    with pytest.raises(DeviceError) as caught:
        Waveform.from_csv(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_an_oscilloscope_is_read(tmp_path):
    file = tmp_path / "wave.txt"
    file.write_text("Model;XY 3\nt [us];CH1 (mV);CH2 (mV)\n0;0,0;1\n1,5;-300;2\n")
    assert Waveform.from_csv(file, {"voltage_v": "CH1"}) == Waveform((0.0, 1.5e-6), (0.0, -0.3))


def test_a_file_that_is_none_is_an_error(tmp_path):
    with pytest.raises(DeviceError, match="cannot be read"):
        Waveform.from_csv(tmp_path / "absent.csv")
    (tmp_path / "bytes.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DeviceError, match="cannot be read"):
        Waveform.from_csv(tmp_path / "bytes.csv")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Waveform((0.0, 1.0), (0.0,)), "one voltage per time"),
        (lambda: Waveform((0.0, math.nan), (0.0, 1.0)), r"times_s\[1\] = nan must be finite"),
        (lambda: Waveform((0.0, "later"), (0.0, 1.0)), "times_s must be a sequence of numbers"),
        (lambda: Waveform((1.0, 1.0), (0.0, 1.0)), "at least 2 points at different times"),
        (lambda: Waveform.pulse_train(-0.3, 0.0, 1), "width_s = 0.0 must be a finite number above 0 s"),
        (lambda: Waveform.pulse_train(-0.3, 1e-6, 0), "count = 0"),
        (lambda: Waveform.pulse_train(-0.3, 1e-6, 2, gap_s=-1e-6), "gap_s"),
        (lambda: Waveform.pulse_train(math.inf, 1e-6, 2), "volts"),
        (lambda: Waveform.triangle(0.3, 0.5, 1e3), "v_set = 0.3"),
        (lambda: Waveform.triangle(-0.3, -0.5, 1e3), "v_reset = -0.5"),
        (lambda: Waveform.triangle(-0.3, 0.5, 0.0), "ramp_v_per_s"),
        (lambda: Waveform.triangle(-0.3, 0.5, 1e3, cycles=1.5), "cycles"),
        (lambda: respond(0.3, Waveform((0.0, 1.0), (0.0, 0.0)), points=0), "points = 0"),
        (lambda: respond(0.3, Waveform((0.0, 1.0), (0.0, 0.0)), rtol=0.1), "rtol = 0.1"),
        (lambda: respond(0.3, Waveform((0.0, 1.0), (0.0, 0.0)), on_invalid="skip"), "on_invalid"),
        (lambda: respond(-0.3, Waveform((0.0, 1.0), (0.0, 0.0))), "n = -0.3 must"),
        (lambda: respond(0.3, Waveform((0.0, 1.0), (0.0, 0.0)), model="exact"), "model"),
    ],
)
def test_wrong_arguments_are_refused(build, words):
    with pytest.raises(DeviceError, match=words):
        build()


def test_wide_pulses_without_gaps_are_one():
    assert np.array_equal(Waveform.pulse_train(-0.3, 1e-6, 4, gap_s=0.0).times_s, (0.0, 4e-6))


@pytest.mark.parametrize("points", [1, 2, 7])
@pytest.mark.parametrize(("n", "volts"), [(20.0, -2.0), (0.008, 1.5), (0.3, -1.0), (0.3, 1.2)])
def test_validity_is_no_better_than_the_samples_also_at_a_bound(n, volts, points):
    ramp = Waveform((0.0, 1e-3), (0.0, volts))
    quick = respond(n, ramp, model="full", points=points)
    slow = respond(n, ramp, CellParameters(r=torch.tensor(45e-9, requires_grad=True)), model="full", points=points)
    for got in (quick, slow):
        assert got.validity.worst_temperature_k >= got.temperature_k.max()
    torch.testing.assert_close(quick.validity, slow.validity, rtol=1e-3, atol=0)


def test_voltages_that_no_cell_has_are_refused_and_advice_is_an_option_of_respond():
    with pytest.raises(DeviceError, match=r"voltage_v must be finite \(V\) and within \+-100: 1 mV is 1e-3.* -342"):
        respond(0.3, Waveform((0.0, 1e-3), (0.0, -342.0)), model="full")
    with pytest.raises(DeviceError, match=r"have them marked with on_invalid = 'record'$"):
        respond(0.3, Waveform((0.0, 1e-3), (0.0, -60.0)), CellParameters(r=5e-9), points=2)
