"""Compiled scalar physics: the current, the rate and the temperature of one cell, without tables.

The equations, and the way to the root of the current, are those of full_current.py and kinetics.py in physics/, which
name their sources; tests compare the two. Parameters come as a vector in the order of ``CellParameters``.
"""

import math

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel, lane
from vcm_sweep.device.kernels.cpu.functions import asin, exp, log
from vcm_sweep.device.kernels.layout import MAX_ROUNDS, MAX_STEPS, NEARLY
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


@lane
def balance(j, v, is_set, circuit, t_0, barrier_0, phi):
    """g(J) = ln I_s - ln J with its slopes in J and ln N, the drop over the interface, the barrier with its slopes.

    See full_current.py. The barrier is the one before it is cut at 0; ``phi`` is phi_Bn0 - phi_n. Nothing is called and
    nothing branches, so that a loop over lanes becomes vector instructions; see lanes/.
    """
    linear, series, cubic, disc, thermal, lowering, w_00, area = circuit
    # Divisions are what this costs, so there are few.
    per_j = 1.0 / j
    j2 = cubic * j * j
    u = v - j * (linear + j2)
    du = -(linear + 3.0 * j2)
    du_x = j * disc
    t = t_0 + j * (v - j * (series + j2)) * thermal
    theta = _K * t
    per_theta = 1.0 / theta
    dt = thermal * (v - j * (2.0 * series + 4.0 * j2)) * (_K * per_theta)
    psi = phi + u if is_set else phi - u
    lowered = psi > 0.0
    psi = psi if lowered else 1.0
    second = math.sqrt(psi)
    fourth = math.sqrt(second)
    root = fourth * lowering if lowered else 0.0
    raw = barrier_0 - root
    steep = (-0.25 if is_set else 0.25) * root / psi
    raw_j, raw_x = steep * du, steep * du_x - 0.25 * root
    there = raw > 0.0
    barrier, dbarrier, barrier_x = raw if there else 0.0, raw_j if there else 0.0, raw_x if there else 0.0
    if is_set:
        y = w_00 * per_theta
        tanh = 1.0 - 2.0 / (exp(2.0 * y) + 1.0)
        excess, slope = y - tanh, 1.0 - tanh * tanh
        per_w = 1.0 / w_00
        z, q = u * excess * per_w, u + barrier * slope
        filled = 1.0 - exp(-z)
        per_both = 1.0 / (q * filled)
        per_q, per_filled = 0.5 * filled * per_both, q * per_both
        dy = -y * dt
        dtanh = slope * dy
        dz = (du * excess + u * (dy - dtanh)) * per_w
        dq = du + dbarrier * slope - 2.0 * barrier * tanh * dtanh
        g = log(area * t * math.sqrt(math.pi * w_00 * q) * filled * per_j / _K) + z - barrier * tanh * per_w
        dg = dt + dq * per_q - (dbarrier * tanh + barrier * dtanh) * per_w + dz * per_filled
        tanh_x = 0.5 * slope * y
        z_x = (du_x * excess + u * (0.5 * y - tanh_x)) * per_w - 0.5 * z
        q_x = du_x + barrier_x * slope - 2.0 * barrier * tanh * tanh_x
        g_x = 0.25 + q_x * per_q - (barrier_x * tanh + barrier * (tanh_x - 0.5 * tanh)) * per_w + z_x * per_filled
    else:
        x = u * per_theta
        filled = 1.0 - exp(-x)
        per_filled = 1.0 / filled
        g = log(area * t * t * filled * per_j) + (u - barrier) * per_theta
        dg = 2.0 * dt + (barrier * dt - dbarrier) * per_theta + (du * per_theta - x * dt) * per_filled
        g_x = du_x * per_theta * per_filled - barrier_x * per_theta
    return g, dg - per_j, g_x, u, raw, raw_j, raw_x


@lane
def circuit_of(
    n, is_set, eps, eps_phi_b, mu_n, n_plug, r_th0, r, r_nominal, l_cell, length, r_theff, r_tiox, r_0, r_th_line, alpha
):
    """The constants of one state: linear, series, cubic, disc, thermal, lowering, w_00, area times Richardson's."""
    square = r * r
    area = math.pi * square
    per_length = _PER_LENGTH / (_E * mu_n * area)
    series = r_tiox + r_0
    disc = length * per_length / n
    linear = disc + (l_cell - length) * per_length / n_plug + series
    thermal = r_th0 * (r_nominal * r_nominal) / square * (1.0 if is_set else r_theff)
    lowering = math.sqrt(math.sqrt(_LOWERING * n / (eps_phi_b * eps_phi_b * eps_phi_b)))
    return (
        linear,
        series,
        r_0 * r_0 * alpha * r_th_line,
        disc,
        thermal,
        lowering,
        _W_00 * math.sqrt(n / eps),
        area * RICHARDSON,
    )


@lane
def current_of(rest, linear, cubic):
    """The current that makes a voltage over the resistances; their cubic part is little, so two steps are enough."""
    j = rest / linear
    for _ in range(2):
        j2 = cubic * j * j
        j = (rest + 2.0 * j * j2) / (linear + 3.0 * j2)
    return j


@lane
def newton_in_drop(j, v, g, dg, u, is_set, phi):
    """(J after Newton's step in ln of the drop over the interface, of which g is nearly linear; how good the step is).

    1.0 if it is so small that it is the last, -1.0 if it cannot be trusted, otherwise 0.0.
    """
    change = g * v / (dg * j * u)
    new = v * j / (v - u + u * exp(change))
    far = abs(change)
    # In RESET and read the physical root is the one below phi, if there is any there; see full_current.py.
    trusted = (u > 0.0) & (dg < 0.0) & (far < 1.0) & (is_set | (u < phi))
    # The next change would be about the square of this one.
    small = (far < 0.01) & (abs(new - j) < NEARLY * j)
    return new, (1.0 if small else 0.0) if trusted else -1.0


@inlined
def _circuit(n, is_set, p):
    return circuit_of(
        n, is_set, p[EPS], p[EPS_PHIB], p[MU_N], p[N_PLUG], p[R_TH0], p[R], p[R_NOMINAL], p[L_CELL], p[L], p[R_THEFF],
        p[R_TIOX], p[R_0], p[R_TH_LINE], p[ALPHA_LINE],
    )  # fmt: skip


@kernel
def _follow(v, n, is_set, p, guess):
    """(|I|, d ln|I| / d ln N, barrier, d barrier / d ln N): the root on the branch of a guess that is nearly it.

    Where Newton's steps from the guess are not soon small the root is looked for from the start.
    """
    circuit = _circuit(n, is_set, p)
    t_0, barrier_0, phi = p[T_0], p[PHI_BN0], p[PHI_BN0] - p[PHI_N]
    j, small = guess, 0.0
    for _ in range(MAX_STEPS):
        g, dg, g_x, u, raw, raw_j, raw_x = balance(j, v, is_set, circuit, t_0, barrier_0, phi)
        new, small = newton_in_drop(j, v, g, dg, u, is_set, phi)
        if small != 0.0:
            break
        j = new
    if small <= 0.0:
        j = _full_current(v, n, is_set, p)
        g, dg, g_x, _, raw, raw_j, raw_x = balance(j, v, is_set, circuit, t_0, barrier_0, phi)
        new = j
    j_x = -g_x / dg
    return new, j_x / j, raw, raw_x + raw_j * j_x


@kernel
def _full_current(v, n, is_set, p):
    """|I| in A at |V| = v; NaN where no root was found."""
    circuit = _circuit(n, is_set, p)
    linear, series, cubic, _, thermal, lowering, _, area = circuit
    t_0, barrier_0, phi = p[T_0], p[PHI_BN0], p[PHI_BN0] - p[PHI_N]
    high = v / linear
    for _ in range(3):
        j2 = cubic * high * high
        high = (v + 2 * high * j2) / (linear + 3 * j2)
    low, j = 0.0, 0.5 * high
    if not is_set:
        # Look for the root on the physical branch first, from the side of large currents.
        least = min(max((v - phi) / (linear + cubic * high * high), 0.0), high)
        short = high
        theta = _K * (p[T_0] + short * (v - short * (series + cubic * short * short)) * thermal)
        start = max(p[PHI_BN0] - lowering * math.sqrt(math.sqrt(max(phi, 0.0))), 0.0)
        saturation = area * (theta / _K) ** 2 * math.exp(-start / theta)
        j = max(short - theta * math.log1p(short / saturation) / linear, 0.5 * (least + short))
        if j >= short:
            j = short * (1 - 1e-3)
        from_left, from_right, absent = math.inf, least, False
        for round_ in range(MAX_ROUNDS):
            g, dg, _, _, _, _, _ = balance(j, v, is_set, circuit, t_0, barrier_0, phi)
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
    for round_ in range(MAX_ROUNDS):
        g, dg, _, u, _, _, _ = balance(j, v, is_set, circuit, t_0, barrier_0, phi)
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


@inlined
def linear_resistance(n, p):
    """(resistance in series with the interface at zero current, its part per squared current)."""
    circuit = _circuit(n, True, p)
    return circuit[0], circuit[2]


@kernel
def drop_over_interface(v, n, is_set, p):
    """The drop over the interface in V at |V| = v in the full model; NaN where it has no root."""
    j = _full_current(v, n, is_set, p)
    linear, cubic = linear_resistance(n, p)
    return v - j * (linear + cubic * j * j)


@kernel
def magnitude(v, n, is_set, full, p):
    """|I| in A at |V| = v > 0; NaN where the full model has no root."""
    return _full_current(v, n, is_set, p) if full else explicit_along(v, n, is_set)[0]


@lane
def kinetics(
    i, i_x, n, v, is_set, full, t_0, mu_n, n_plug, hop, nu_0, dw_a, r_th0, r, r_nominal, l_cell, length, r_theff,
    r_tiox, r_0, r_th_line, alpha,
):  # fmt: skip
    """(ln(|dN/dt| / N) in 1/s without the bound factor, its slope in ln N) from |I| and its slope d ln|I| / d ln N.

    The rate is NaN outside the model.
    """
    charge, boltzmann = (_E, _K) if full else (_E_PUBLISHED, _K_PUBLISHED)
    square, constant = r_0 * r_0 * alpha * r_th_line * i * i, r_tiox + r_0
    drop = v - i * (constant + square)
    thermal = r_th0 * (r_nominal * r_nominal) / (r * r) * (1.0 if is_set else r_theff)
    kelvin = t_0 + i * drop * thermal
    per_theta = 1.0 / (boltzmann * kelvin)
    theta_x = thermal * (drop - i * (constant + 3 * square)) * i * i_x / kelvin
    if is_set:
        field = i * _PER_LENGTH / (n * charge * mu_n * math.pi * (r * r))
        field_x = i_x - 1.0
    else:
        field = drop / l_cell
        field_x = -(constant + 3 * square) * i * i_x / drop
    gamma = VACANCY_CHARGE_NUMBER * abs(field) * hop / (math.pi * dw_a)
    inside = gamma < 1.0
    gamma = gamma if inside else 0.5
    arc, energy = gamma * asin(gamma), dw_a * per_theta
    height, drive = energy * (math.sqrt(1.0 - gamma * gamma) + arc), energy * gamma * (math.pi / 2)
    back = exp(-2.0 * drive)
    forth = 1.0 - back
    rate = log(0.5 * (n_plug + n) * hop * nu_0 / (length * n) * forth) - height + drive
    drive_x = drive * (field_x - theta_x)
    rate_x = n / (n_plug + n) - 1.0 + 2.0 * drive_x * back / forth + height * theta_x - energy * arc * field_x + drive_x
    return rate if inside else math.nan, rate_x


@inlined
def _rate(i, i_x, n, v, is_set, full, p):
    return kinetics(
        i, i_x, n, v, is_set, full, p[T_0], p[MU_N], p[N_PLUG], p[HOP], p[NU_0], p[DW_A], p[R_TH0], p[R], p[R_NOMINAL],
        p[L_CELL], p[L], p[R_THEFF], p[R_TIOX], p[R_0], p[R_TH_LINE], p[ALPHA_LINE],
    )  # fmt: skip


@kernel
def rate_along(v, x, is_set, full, p, guess):
    """(ln(|dN/dt| / N), its slope in ln N, |I|, d ln|I| / d ln N, barrier, its slope) at |V| = v, ln N = x.

    guess: about |I|. The rate is without the bound factor, NaN outside the model.
    """
    n = math.exp(x)
    if full:
        i, i_x, barrier, barrier_x = _follow(v, n, is_set, p, guess)
    else:
        i, i_x = explicit_along(v, n, is_set)
        barrier, barrier_x = 1.0, 0.0
    rate, rate_x = _rate(i, i_x, n, v, is_set, full, p)
    return rate, rate_x, i, i_x, barrier, barrier_x


@kernel
def log_rate(v, x, is_set, full, p):
    """(ln(|dN/dt| / N) in 1/s without the bound factor, |I| in A) at |V| = v and ln N = x; NaN outside the model."""
    n = math.exp(x)
    i = magnitude(v, n, is_set, full, p)
    return _rate(i, 0.0, n, v, is_set, full, p)[0], i


@kernel
def current_along(v, x, is_set, full, p, guess):
    """(|I|, d ln|I| / d ln N) at |V| = v and ln N = x; guess: about |I|."""
    n = math.exp(x)
    if full:
        return _follow(v, n, is_set, p, guess)[:2]
    return explicit_along(v, n, is_set)


@lane
def explicit_along(v, n, is_set):
    """(|I|, d ln|I| / d ln N) of the explicit fit."""
    return fitted_along(n, is_set, *fit_at(v, is_set))


@lane
def fit_at(v, is_set):
    """What of the explicit fit depends on the voltage alone: alpha, beta, ln c, d and f in SET; else g and h."""
    if is_set:
        alpha = A0 * ((math.exp(-A2 / A3) + 1.0) / (1.0 + exp((v - A2) / A3)) - 1.0)
        beta = B1 * (1.0 - exp(v)) + B0 * v
        c = C2 * exp(v / C3) - C1 * v - C0
        d = D2 * exp(v / D3) - D1 * v - D0
        f = F0 + (F1 - F0) / (1.0 + exp(F3 * log(v / F2)))
        return alpha, beta, log(c), d, f
    g = G0 * (1.0 - exp(-G1 * v))
    return g, H0 + H1 * v + H2 * exp(-H3 * v), 0.0, 0.0, 0.0


@lane
def fitted_along(n, is_set, a, b, c, d, f):
    """(|I|, d ln|I| / d ln N) of the explicit fit at N, from :func:`fit_at`."""
    if is_set:
        part = exp(d * (c - log(n)))
        grown = b * exp(-f * log(1.0 + part))
        i = a + grown
        return i, grown * f * d * part / (1.0 + part) / i
    part = b * exp(READ_EXPONENT * log(n / READ_REFERENCE_N))
    return a * exp(log(1.0 + part) * (-1.0 / READ_ROOT)), -READ_EXPONENT / READ_ROOT * part / (1.0 + part)
