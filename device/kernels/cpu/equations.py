"""Compiled scalar physics: the current, the rate and the temperature of one cell, without tables.

The equations, and the way to the root of the current, are those of full_current.py and kinetics.py in physics/, which
name their sources; tests compare the two. Parameters come as a vector in the order of ``CellParameters``.
"""

import math

from vcm_sweep.device.kernels.cpu.compiling import kernel
from vcm_sweep.device.physics.constants import (
    CODATA_2018,
    CONCENTRATION_UNIT,
    ELECTRON_MASS,
    PLANCK,
    PUBLISHED,
    RICHARDSON,
    VACANCY_CHARGE_NUMBER,
    VACUUM_PERMITTIVITY,
)
from vcm_sweep.device.physics.explicit_current import (
    A0,
    A2,
    A3,
    B0,
    B1,
    C0,
    C1,
    C2,
    C3,
    D0,
    D1,
    D2,
    D3,
    F0,
    F1,
    F2,
    F3,
    G0,
    G1,
    H0,
    H1,
    H2,
    H3,
    READ_EXPONENT,
    READ_REFERENCE_N,
    READ_ROOT,
)  # fmt: skip
from vcm_sweep.device.physics.parameters import CellParameters

(T_0, EPS, EPS_PHIB, PHI_BN0, PHI_N, MU_N, N_MAX, N_MIN, N_PLUG, HOP, NU_0, DW_A, R_TH0, R, R_NOMINAL, L_CELL, L,
 R_THEFF, R_TIOX, R_0, R_TH_LINE, ALPHA_LINE) = range(len(CellParameters.names()))  # fmt: skip

_E, _K = CODATA_2018
_E_PUBLISHED, _K_PUBLISHED = PUBLISHED
_LOWERING = _E**3 * VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / (8 * math.pi**2) / VACUUM_PERMITTIVITY**3
_W_00 = PLANCK / (4 * math.pi) * math.sqrt(
    VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / ELECTRON_MASS / VACUUM_PERMITTIVITY
)  # fmt: skip
_PER_LENGTH = 1 / (CONCENTRATION_UNIT * VACANCY_CHARGE_NUMBER)
_MAX_ROUNDS = 200


@kernel
def _g(j, v, is_set, linear, series, cubic, thermal, lowering, w_00, log_area, p):
    """g(J) = ln I_s - ln J, its derivative and the drop over the interface; see full_current.py."""
    j2 = cubic * j * j
    u = v - j * (linear + j2)
    du = -(linear + 3 * j2)
    t = p[T_0] + j * (v - j * (series + j2)) * thermal
    dt = thermal * (v - j * (2 * series + 4 * j2)) / t
    theta = _K * t
    sign = -1.0 if is_set else 1.0
    psi = p[PHI_BN0] - p[PHI_N] - sign * u
    root = math.sqrt(math.sqrt(psi)) * lowering if psi > 0 else 0.0
    barrier, dbarrier = p[PHI_BN0] - root, 0.0
    if barrier <= 0:
        barrier = 0.0
    elif psi > 0:
        dbarrier = 0.25 * sign * root / psi * du
    if is_set:
        y = w_00 / theta
        tanh = math.tanh(y)
        excess, slope = y - tanh, 1 - tanh * tanh
        z, q = u * excess / w_00, u + barrier * slope
        filled = -math.expm1(-z)
        dy = -y * dt
        dtanh = slope * dy
        dz = (du * excess + u * (dy - dtanh)) / w_00
        dq = du + dbarrier * slope - 2 * barrier * tanh * dtanh
        log_i = log_area + math.log(t * math.sqrt(math.pi * w_00 * q) * filled / _K) + z - barrier * tanh / w_00
        dlog_i = dt + dq / (2 * q) - (dbarrier * tanh + barrier * dtanh) / w_00 + dz / filled
    else:
        x = u / theta
        filled = -math.expm1(-x)
        log_i = log_area + math.log(t * t * filled) + (u - barrier) / theta
        dlog_i = 2 * dt + (barrier * dt - dbarrier) / theta + (du / theta - x * dt) / filled
    return log_i - math.log(j), dlog_i - 1 / j, u


@kernel
def _full_current(v, n, is_set, p):
    """|I| in A at |V| = v; NaN where no root was found."""
    area = math.pi * p[R] ** 2
    per_length = _PER_LENGTH / (_E * p[MU_N] * area)
    series = p[R_TIOX] + p[R_0]
    linear = p[L] * per_length / n + (p[L_CELL] - p[L]) * per_length / p[N_PLUG] + series
    cubic = p[R_0] ** 2 * p[ALPHA_LINE] * p[R_TH_LINE]
    thermal = p[R_TH0] * (p[R_NOMINAL] / p[R]) ** 2 * (1.0 if is_set else p[R_THEFF])
    lowering = math.sqrt(math.sqrt(_LOWERING * n / p[EPS_PHIB] ** 3))
    w_00 = _W_00 * math.sqrt(n / p[EPS])
    log_area = math.log(area * RICHARDSON)
    high = v / linear
    for _ in range(3):
        j2 = cubic * high * high
        high = (v + 2 * high * j2) / (linear + 3 * j2)
    low, j = 0.0, 0.5 * high
    phi = p[PHI_BN0] - p[PHI_N]
    if not is_set:
        # Look for the root on the physical branch first, from the side of large currents.
        least = min(max((v - phi) / (linear + cubic * high * high), 0.0), high)
        short = high
        theta = _K * (p[T_0] + short * (v - short * (series + cubic * short * short)) * thermal)
        start = max(p[PHI_BN0] - lowering * math.sqrt(math.sqrt(max(phi, 0.0))), 0.0)
        saturation = math.exp(log_area + 2 * math.log(theta / _K) - start / theta)
        j = max(short - theta * math.log1p(short / saturation) / linear, 0.5 * (least + short))
        if j >= short:
            j = short * (1 - 1e-3)
        from_left, from_right, absent = math.inf, least, False
        for round_ in range(_MAX_ROUNDS):
            g, dg, _ = _g(j, v, is_set, linear, series, cubic, thermal, lowering, w_00, log_area, p)
            newton = j - g / dg
            if g > 0:
                low = j
            elif dg < 0:
                high, from_left = j, newton
            else:
                from_right = max(from_right, newton)
            if low == 0 and from_left <= from_right:
                absent = True
                break
            if g > 0 or math.isinf(from_left):
                new = 0.5 * (j + high)
            else:
                new = 0.5 * (max(low, from_right) + min(high, from_left))
            end = abs(newton - j) <= 1e-7 * j
            if dg < 0 and (end or (round_ % 6 != 5 and low < newton < high)):
                if end:
                    return newton
                new = newton
            elif high - low <= 1e-14 * high:
                return new
            j = new
        if not absent:
            return math.nan
        low, j = 0.0, 0.5 * high
    for round_ in range(_MAX_ROUNDS):
        g, dg, u = _g(j, v, is_set, linear, series, cubic, thermal, lowering, w_00, log_area, p)
        if g > 0:
            low = j
        else:
            high = j
        new = v * j / (v - u + u * math.exp(min(max(g * v / (dg * j * u), -6.0), 6.0)))
        end = abs(new - j) <= 1e-7 * j
        if not (dg < 0 and (end or (round_ % 6 != 5 and low < new < high))):
            new = 0.5 * (low + high) if low > 0 else 0.25 * high
            if high - low <= 1e-14 * high:
                return new
        elif end:
            return new
        j = new
    return math.nan


@kernel
def _explicit_current(v, n, is_set):
    """|I| in A of the explicit fit at |V| = v."""
    if not is_set:
        g = -G0 * math.expm1(-G1 * v)
        h = H0 + H1 * v + H2 * math.exp(-H3 * v)
        return g / (1 + h * (n / READ_REFERENCE_N) ** READ_EXPONENT) ** (1 / READ_ROOT)
    v = -v
    a1 = A0 * math.exp(-A2 / A3)
    alpha = (a1 + A0) / (1 + math.exp(-(v + A2) / A3)) - A0
    beta = B1 * (1 - math.exp(-v)) - B0 * v
    c = C2 * math.exp(-v / C3) + C1 * v - C0
    d = D2 * math.exp(-v / D3) + D1 * v - D0
    f = F0 + (F1 - F0) / (1 + (-v / F2) ** F3)
    return alpha + beta / (1 + (c / n) ** d) ** f


@kernel
def magnitude(v, n, is_set, full, p):
    """|I| in A at |V| = v > 0; NaN where the full model has no root."""
    return _full_current(v, n, is_set, p) if full else _explicit_current(v, n, is_set)


@kernel
def log_rate(v, x, is_set, full, p):
    """(ln(|dN/dt| / N) in 1/s without the bound factor, |I| in A) at |V| = v and ln N = x; NaN outside the model."""
    n = math.exp(x)
    i = magnitude(v, n, is_set, full, p)
    charge, boltzmann = (_E, _K) if full else (_E_PUBLISHED, _K_PUBLISHED)
    series = p[R_TIOX] + p[R_0] * (1 + p[R_0] * p[ALPHA_LINE] * i * i * p[R_TH_LINE])
    thermal = p[R_TH0] * (p[R_NOMINAL] / p[R]) ** 2 * (1.0 if is_set else p[R_THEFF])
    theta = boltzmann * (p[T_0] + i * (v - i * series) * thermal)
    disc = i * _PER_LENGTH / (n * charge * p[MU_N] * math.pi * p[R] ** 2)
    field = disc if is_set else (v - i * series) / p[L_CELL]
    gamma = VACANCY_CHARGE_NUMBER * abs(field) * p[HOP] / (math.pi * p[DW_A])
    if not gamma < 1.0:
        return math.nan, i
    barrier = p[DW_A] * (math.sqrt(1 - gamma * gamma) + gamma * math.asin(gamma))
    drive = p[DW_A] * gamma * (math.pi / 2) / theta
    prefactor = 0.5 * (p[N_PLUG] + n) * p[HOP] * p[NU_0] / p[L] / n
    return math.log(prefactor * -math.expm1(-2 * drive)) - barrier / theta + drive, i
