"""One row of the published table, from both sides: ours, and a plain loop over the published rules.

The loop is written from the publications and shares no code with the package: the explicit cell of JART VCM v1b in 100
Euler steps a pulse, the converters and the stochastic pulse trains of aihwkit, samples of a batch one after the other.
Neither knows the other's random numbers, so what is compared are distributions over many seeds.
"""

import math
from functools import cache
from typing import Any

import numba as nb
import numpy as np
import pytest
from scipy import stats

from vcm_sweep.sweep import Study, build_design, train
from vcm_sweep.sweep.data.sets import load

SEEDS, SAMPLES, TESTED, BATCH, LR, DW_MIN, INIT = 32, 1280, 300, 32, 0.005, 1e-4, 0.3
SIZES = (64, 10, 10)
ROW = f"""
[study]
name = "row"
[network]
data = "digits"
hidden = [{SIZES[1]}]
epochs = 1
batch = {BATCH}
lr = {LR}
init = {INIT}
train_samples = {SAMPLES}
test_samples = {TESTED}
[device]
model = "explicit"
dw_min = {DW_MIN}
[device.periphery]
preset = "as-published"
[design]
method = "conditions"
baseline = "noise-free"
replicates = {SEEDS}
[[condition]]
name = "noise-free"
[[condition]]
name = "r d2d realistic"
device.d2d.r = {{ sigma = 1.0, clip = 0.1, distribution = "clipped" }}
"""
SET_V, RESET_V, PULSE_S, STEPS, READ_V = -0.342, 0.7065, 1e-6, 100, 0.2
N_LOW, N_HIGH, N_MIN, N_MAX, W_MAX = 0.06, 1.98974521274400865, 0.008, 20.0, 0.6
R_NOMINAL, LENGTH, CELL_LENGTH = 45e-9, 0.4e-9, 3e-9


@nb.njit
def _fit(v: float) -> Any:
    """What of the fitted current depends on the voltage alone, Ntinas et al. 2022."""
    if v < 0:
        a0, a2, a3 = 4.81951e-5, 1.03685, 0.34567
        a1 = a0 * math.exp(-a2 / a3)
        return (
            (a1 + a0) / (1 + math.exp(-(v + a2) / a3)) - a0,
            4.2383e-5 * (1 - math.exp(-v)) - 7.0526e-4 * v,
            4.2125 * math.exp(-v / 1.4134) + 2.8646 * v - 4.004,
            7.4235 * math.exp(-v / 4.0585) + 1.4524 * v - 6.6103,
            6.326e-4 + (1.4711 - 6.326e-4) / (1 + (-v / 0.5199) ** 1.561),
        )
    g = 4.84e-3 * (1 - math.exp(-0.1353 * v))
    return g, 5.548 + 6.8648 * v + 51.586 * math.exp(-0.36 * v), 0.0, 0.0, 0.0


@nb.njit
def _current(v: float, n: float, fit: Any) -> float:
    """The fitted current (A)."""
    if v < 0:
        alpha, beta, c, d, f = fit
        return -alpha - beta / (1 + (c / n) ** d) ** f
    g, h = fit[0], fit[1]
    return g / (1 + h * (n / 0.008) ** -1.054) ** (1 / 1.0526)


@nb.njit
def _rate(v: float, n: float, r: float, fit: Any) -> float:
    """dN/dt (1e26/m3/s) of a cell of radius r, Bengel et al. 2020."""
    i = _current(v, n, fit)
    area = math.pi * r * r
    series = 650 + 719.2437 * (1 + 719.2437 * 3.92e-3 * i * i * 90471.47)
    inner = v - i * series
    thermal = 15.72e6 * (R_NOMINAL / r) ** 2 * (0.27 if v > 0 else 1.0)
    kt = 8.61860174781523e-5 * (293 + i * inner * thermal)
    field = i / (n * 1e26 * 2 * 1.602e-19 * 4e-6 * area) if v < 0 else inner / CELL_LENGTH
    gamma = 2 * field * 0.25e-9 / (math.pi * 1.35)
    even = math.sqrt(1 - gamma * gamma) + gamma * math.asin(gamma)
    odd = gamma * math.pi / 2
    hops = math.exp(-1.35 * (even - odd) / kt) - math.exp(-1.35 * (even + odd) / kt)
    bound = 1 - (n / N_MAX) ** 10 if v < 0 else 1 - (N_MIN / n) ** 10
    return -(20 + n) / 2 * 0.25e-9 * 2e13 / LENGTH * hops * max(bound, 0.0)


@nb.njit
def _pulse(n: float, up: bool, r: float) -> float:
    v = SET_V if up else RESET_V
    fit = _fit(v)
    for _ in range(STEPS):
        n = min(max(n + PULSE_S / STEPS * _rate(v, n, r, fit), N_MIN), N_MAX)
    return n


@nb.njit
def _weight(n: float) -> float:
    fit = _fit(READ_V)
    low, high = _current(READ_V, N_LOW, fit), _current(READ_V, N_HIGH, fit)
    return W_MAX * (2 * (_current(READ_V, n, fit) - low) / (high - low) - 1)


@nb.njit
def _concentration(w: float) -> float:
    """N at which a cell reads w, by bisection."""
    low, high = N_MIN, N_MAX
    for _ in range(80):
        middle = math.sqrt(low * high)
        if _weight(middle) < w:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


@nb.njit
def _read(w: Any, x: Any) -> Any:
    """W x through aihwkit's default converters: scaled by the largest input, 7 bits in, noise 0.06, 9 bits out."""
    out = np.zeros(w.shape[0])
    scale = np.abs(x).max()
    if scale == 0.0:
        return out
    step_in, step_out = 2 / 126, 2 * 12 / 510
    for i in range(w.shape[0]):
        total = 0.0
        for j in range(w.shape[1]):
            total += w[i, j] * (np.round(x[j] / scale / step_in) * step_in)
        total += 0.06 * np.random.normal()
        if abs(total) >= 12:
            raise ValueError("bound management would read once more")
        out[i] = np.round(total / step_out) * step_out * scale
    return out


@nb.njit
def _update(n: Any, w: Any, r: Any, x: Any, d: Any, lr: float, counts: Any) -> None:
    """The pulses of one sample: each row and column fires by chance in each slot, and both together are one pulse."""
    x_max, d_max = np.abs(x).max(), np.abs(d).max()
    if x_max == 0.0 or d_max == 0.0:
        return
    needed = lr * x_max * d_max / DW_MIN
    slots = min(math.ceil(needed), 31)
    if needed > slots:
        d_max *= slots / needed
    factor, ratio = math.sqrt(lr / (DW_MIN * slots)), math.sqrt(x_max / d_max)
    for _ in range(slots):
        rows = np.random.random(d.shape[0]) < np.abs(d) * factor * ratio
        columns = np.random.random(x.shape[0]) < np.abs(x) * factor / ratio
        for i in range(d.shape[0]):
            if rows[i]:
                for j in range(x.shape[0]):
                    if columns[j]:
                        up = x[j] * d[i] < 0
                        n[i, j] = _pulse(n[i, j], up, r[i, j])
                        w[i, j] = _weight(n[i, j])
                        counts[0 if up else 1] += 1


@nb.njit
def _train(x: Any, y: Any, test_x: Any, test_y: Any, sizes: Any, spread: float, lr: float, seed: int) -> Any:
    """(accuracy, SET pulses, RESET pulses) of one training of a network with one hidden layer."""
    np.random.seed(seed)
    shapes = ((sizes[1], sizes[0]), (sizes[2], sizes[1]))
    n1, n2 = np.empty(shapes[0]), np.empty(shapes[1])
    w1, w2 = np.empty(shapes[0]), np.empty(shapes[1])
    r1, r2 = np.empty(shapes[0]), np.empty(shapes[1])
    for n, w, r in ((n1, w1, r1), (n2, w2, r2)):
        for i in range(n.shape[0]):
            for j in range(n.shape[1]):
                n[i, j] = _concentration(np.random.uniform(-INIT, INIT))
                w[i, j] = _weight(n[i, j])
                drawn = 1 + np.random.normal() if spread else 1.0
                r[i, j] = R_NOMINAL * min(max(drawn, 1 - spread), 1 + spread)
    b1, b2 = np.zeros(sizes[1]), np.zeros(sizes[2])
    counts = np.zeros(2)
    order = np.random.permutation(x.shape[0])
    hidden, error1, error2 = np.empty((BATCH, sizes[1])), np.empty((BATCH, sizes[1])), np.empty((BATCH, sizes[2]))
    for first in range(0, x.shape[0], BATCH):
        chosen = order[first : first + BATCH]
        for k in range(BATCH):
            hidden[k] = 1 / (1 + np.exp(-(_read(w1, x[chosen[k]]) + b1)))
            scores = _read(w2, hidden[k]) + b2
            p = np.exp(scores - scores.max())
            error2[k] = p / p.sum() / BATCH
            error2[k, y[chosen[k]]] -= 1 / BATCH
            error1[k] = _read(w2.T.copy(), error2[k]) * hidden[k] * (1 - hidden[k])
        for k in range(BATCH):
            _update(n1, w1, r1, x[chosen[k]], error1[k], lr, counts)
            _update(n2, w2, r2, hidden[k], error2[k], lr, counts)
        b1 -= lr * error1.sum(0)
        b2 -= lr * error2.sum(0)
    right = 0
    for k in range(test_x.shape[0]):
        h = 1 / (1 + np.exp(-(_read(w1, test_x[k]) + b1)))
        right += np.argmax(_read(w2, h) + b2) == test_y[k]
    return right / test_x.shape[0], counts[0], counts[1]


@cache
def plain(spread: float, lr: float = LR) -> Any:
    """(seeds, 3) of the plain loop, which takes ten seconds or more."""
    data = load("digits").first(SAMPLES, TESTED, 0)
    x, test_x = (part.reshape(len(part), -1).double().numpy() for part in (data.train_x, data.test_x))
    labels = data.train_y.numpy(), data.test_y.numpy()
    return np.array([_train(x, labels[0], test_x, labels[1], np.array(SIZES), spread, lr, k) for k in range(SEEDS)])


def ours(condition: int) -> Any:
    """(seeds, 3) of the package."""
    design = build_design(Study.from_text(ROW))
    records = train([design.trial(condition, replicate) for replicate in range(SEEDS)])
    return np.array([(record.accuracy, record.pulses_set, record.pulses_reset) for record in records])


def p_values(one: Any, other: Any) -> list[float]:
    """Of equal means by Welch's test and of equal distributions by Kolmogorov and Smirnov's, for each column."""
    return [
        float(test(one[:, k], other[:, k]).pvalue)
        for k in range(3)
        for test in (lambda a, b: stats.ttest_ind(a, b, equal_var=False), stats.ks_2samp)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("condition", "spread"), [(0, 0.0), (1, 0.1)], ids=["noise-free", "r d2d realistic"])
def test_a_row_has_the_distribution_that_a_plain_loop_gives(condition: int, spread: float) -> None:
    reference, found = plain(spread), ours(condition)
    assert min(p_values(reference, found)) > 0.05 / 6, (reference.mean(0), found.mean(0))
    # The same comparison tells cells that are all alike from cells that are not.
    assert min(p_values(plain(0.1 - spread), found)) < 1e-4


@pytest.mark.slow
def test_the_comparison_tells_a_fifth_of_the_learning_rate() -> None:
    assert min(p_values(plain(0.0, 1.2 * LR), ours(0))) < 1e-4
