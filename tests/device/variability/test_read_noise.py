"""1/f and telegraph noise against the statistics of their Markov processes."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from vcm_sweep.device import DeviceError, ReadNoise, TelegraphNoise

COUNT = 100_000


def _generator(seed=1):
    return torch.Generator().manual_seed(seed)


def _history(noise, count, steps, seed=1):
    """(steps + 1, count) of a noise, a batch apart."""
    generator = _generator(seed)
    state = noise.start((count,), generator)
    rows = [noise.relative(state)]
    for _ in range(steps):
        noise.step(state, generator)
        rows.append(noise.relative(state))
    return torch.stack(rows).double().numpy()


def test_flicker_has_its_variance_and_memory_from_the_first_batch_on():
    """Equal variances, correlation times of 1, 10 and 100 batches: covariance s^2 / 3 sum exp(-k / 10^d)."""
    rows = _history(ReadNoise(flicker=0.1), COUNT, 30)
    for lag in (0, 1, 5, 30):
        expected = 0.01 / 3 * sum(math.exp(-lag / 10**d) for d in range(3))
        for start in {0, 30 - lag}:
            found = (rows[start] * rows[start + lag]).mean()
            # A product of two unit normals has a variance of at most 2.
            assert found == pytest.approx(expected, abs=5 * 0.01 * math.sqrt(2 / COUNT)), (lag, start)


def test_flicker_falls_as_one_over_f():
    """Two decades inside four processes; the textbook spectrum of the sum tells how far their ripple is from 1/f."""
    cells, steps = 400, 8192
    rows = _history(ReadNoise(flicker=1.0, decades=4), cells, steps - 1)
    window = np.hanning(steps)[:, None]
    power = np.square(np.abs(np.fft.rfft(rows * window, axis=0))).mean(1)
    bins = np.unique(np.geomspace(steps / (2 * math.pi * 10**2.5), steps / (2 * math.pi * 10**0.5), 40).round())
    frequency = bins / steps

    def slope(spectrum):
        return float(np.polyfit(np.log(frequency), np.log(spectrum), 1)[0])

    textbook = np.zeros_like(frequency)
    for memory in np.exp(-1 / 10.0 ** np.arange(4)):
        textbook += (1 - memory**2) / (1 - 2 * memory * np.cos(2 * math.pi * frequency) + memory**2)
    # A periodogram's value has the standard deviation of its mean, over sqrt(cells) in ours; neighbours share half.
    log_f = np.log(frequency)
    error = math.sqrt(2 / cells / np.square(log_f - log_f.mean()).sum())
    assert slope(power[bins.astype(int)]) == pytest.approx(slope(textbook), abs=5 * error)
    assert slope(textbook) == pytest.approx(-1, abs=0.01)
    assert slope(power[bins.astype(int)]) == pytest.approx(-1, abs=0.01 + 5 * error)


def test_flicker_of_a_stack_is_stepped_in_place():
    noise, generator = ReadNoise(flicker=0.1, decades=2), _generator()
    state = noise.start((3, 4), generator)
    assert (state.shape, state.dtype) == ((2, 3, 4), torch.float32)
    before, where = state.clone(), state.data_ptr()
    noise.step(state, generator)
    assert state.data_ptr() == where
    assert (state != before).all()


@pytest.mark.parametrize(("fraction", "switching"), [(1.0, 0.01), (0.3, 0.2), (0.5, 0.7)])
def test_telegraph_is_the_symmetric_chain(fraction, switching):
    """Half of the traps are filled at any time; correlation (1 - 2p)^k; cells without a trap stay still."""
    rows = _history(TelegraphNoise(0.2, fraction, switching), COUNT, 10)
    trapped = rows[0] != 0
    assert trapped.mean() == pytest.approx(fraction, abs=5 * math.sqrt(0.25 / COUNT))
    assert ((rows != 0) == trapped).all()
    assert set(np.unique(rows.round(7))) <= {-0.1, 0.0, 0.1}
    signs, error = np.sign(rows[:, trapped]), 5 / math.sqrt(trapped.sum())
    for lag in (0, 1, 3, 10):
        assert (signs[lag] < 0).mean() == pytest.approx(0.5, abs=error / 2)
        assert (signs[0] * signs[lag]).mean() == pytest.approx((1 - 2 * switching) ** lag, abs=error)


def test_telegraph_dwell_times_are_geometric():
    """A trap keeps its state for k batches with probability (1-p)^(k-1) p: the physicist's dwell-time histogram."""
    p, steps = 0.2, 40
    rows = np.sign(_history(TelegraphNoise(0.2, 1.0, p), 20_000, steps))
    changed = rows[1:] != rows[:-1]
    first = np.where(changed.any(0), changed.argmax(0) + 1, steps + 1)
    observed = np.array([(first == k).sum() for k in range(1, 21)] + [(first > 20).sum()])
    expected = len(first) * np.array([p * (1 - p) ** (k - 1) for k in range(1, 21)] + [(1 - p) ** 20])
    assert stats.chisquare(observed, expected).pvalue > 1e-9


def test_telegraph_amplitude_grows_towards_low_currents_up_to_the_current_itself():
    noise = TelegraphNoise(amplitude=0.1, state_exponent=0.5)
    ratio = torch.tensor([1.0, 0.25, 0.04, 0.001, 0.0])
    state = torch.ones(5, dtype=torch.int8)
    found = noise.relative(state, ratio).tolist()
    assert found == pytest.approx([0.05, 0.1, 0.25, 0.5, 0.5])
    assert noise.relative(-state, ratio).tolist() == pytest.approx([-x for x in found])
    assert not TelegraphNoise(state_exponent=1.0).relative(state, ratio).any(), "no amplitude, no noise, at I = 0 too"


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: ReadNoise(sigma=-0.1), "sigma"),
        (lambda: ReadNoise(flicker=2.0), "flicker"),
        (lambda: ReadNoise(decades=2.5), "decades = 2.5 must be a whole number from 1 to 8"),
        (lambda: ReadNoise(decades=0), "decades"),
        (lambda: TelegraphNoise(amplitude=1.5), "amplitude"),
        (lambda: TelegraphNoise(fraction=math.nan), "fraction"),
        (lambda: TelegraphNoise(switching=-1), "switching"),
        (lambda: TelegraphNoise(state_exponent=4), "state_exponent"),
    ],
)
def test_wrong_values_are_refused_in_one_line(build, word):
    with pytest.raises(DeviceError, match=word) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_the_former_name_of_sigma_is_taken_with_a_warning():
    with pytest.warns(FutureWarning, match="white is named sigma now: write sigma") as warned:
        noise = ReadNoise(white=0.02, flicker=0.01)
    assert noise == ReadNoise(sigma=0.02, flicker=0.01)
    assert warned[0].filename == __file__
    with pytest.raises(TypeError, match="give sigma alone"):
        ReadNoise(sigma=0.02, white=0.02)


def test_noise_that_was_pickled_with_the_former_name_is_read():
    noise = ReadNoise.__new__(ReadNoise)
    noise.__setstate__({"white": 0.02, "flicker": 0.0, "decades": 3})
    assert noise == ReadNoise(0.02)
    assert pickle.loads(pickle.dumps(noise)) == noise
