# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The equations of many cells at a time, as cpu/equations.py has them under the same names, which explains each.

One lane may be in SET while its neighbour is in RESET or is read: both sides are computed, and one is chosen. Numbers
stand on the right of a product: on the left, Triton's interpreter takes the product for a constant, too.
"""

import math

from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import NEARLY
from vcm_sweep.device.physics import explicit_current as fit
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
from vcm_sweep.device.physics.parameters import CellParameters

(T_0, EPS, EPS_PHIB, PHI_BN0, PHI_N, MU_N, N_MAX, N_MIN, N_PLUG, HOP, NU_0, DW_A, R_TH0, R, R_NOMINAL, L_CELL, L,
 R_THEFF, R_TIOX, R_0, R_TH_LINE, ALPHA_LINE) = map(tl.constexpr, range(len(CellParameters.names())))  # fmt: skip

_K = tl.constexpr(CODATA_2018[1])
_K_PUBLISHED = tl.constexpr(PUBLISHED[1])
_LOWERING = tl.constexpr(
    CODATA_2018[0] ** 3 * VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / (8 * math.pi**2) / VACUUM_PERMITTIVITY**3
)
_W_00 = tl.constexpr(
    PLANCK / (4 * math.pi)
    * math.sqrt(VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / ELECTRON_MASS / VACUUM_PERMITTIVITY)
)  # fmt: skip
_FIELD = tl.constexpr(1 / (CONCENTRATION_UNIT * VACANCY_CHARGE_NUMBER) / math.pi)
_PER_LENGTH = tl.constexpr(1 / (CONCENTRATION_UNIT * VACANCY_CHARGE_NUMBER) / (CODATA_2018[0] * math.pi))
_CHARGE, _CHARGE_PUBLISHED = tl.constexpr(CODATA_2018[0]), tl.constexpr(PUBLISHED[0])
_AREA = tl.constexpr(math.pi * RICHARDSON)
_PI, _HALF_PI = tl.constexpr(math.pi), tl.constexpr(math.pi / 2)
_GAMMA = tl.constexpr(VACANCY_CHARGE_NUMBER / math.pi)
_NEARLY = tl.constexpr(NEARLY)

_A0, _A2, _A3 = tl.constexpr(fit.A0), tl.constexpr(fit.A2), tl.constexpr(fit.A3)
_A_TOP = tl.constexpr(math.exp(-fit.A2 / fit.A3) + 1.0)
_B0, _B1 = tl.constexpr(fit.B0), tl.constexpr(fit.B1)
_C0, _C1, _C2, _C3 = map(tl.constexpr, (fit.C0, fit.C1, fit.C2, fit.C3))
_D0, _D1, _D2, _D3 = map(tl.constexpr, (fit.D0, fit.D1, fit.D2, fit.D3))
_F0, _F1, _F2, _F3 = map(tl.constexpr, (fit.F0, fit.F1 - fit.F0, fit.F2, fit.F3))
_G0, _G1 = tl.constexpr(fit.G0), tl.constexpr(fit.G1)
_H0, _H1, _H2, _H3 = map(tl.constexpr, (fit.H0, fit.H1, fit.H2, fit.H3))
_READ_EXPONENT, _READ_N = tl.constexpr(fit.READ_EXPONENT), tl.constexpr(fit.READ_REFERENCE_N)
_PER_ROOT = tl.constexpr(1.0 / fit.READ_ROOT)


@triton.jit
def asin(x):
    """asin x of 0 <= x <= 1, by the rational functions of Sun's fdlibm; Triton itself has none."""
    half = x > 0.5
    w = tl.where(half, (1.0 - x) * 0.5, x * x)
    y = tl.sqrt(w)
    p = w * 3.47933107596021167570e-05 + 7.91534994289814532176e-04
    p = p * w - 4.00555345006794114027e-02
    p = p * w + 2.01212532134862925881e-01
    p = p * w - 3.25565818622400915405e-01
    p = p * w + 1.66666666666666657415e-01
    q = w * 7.70381505559019352791e-02 - 6.88283971605453293030e-01
    q = q * w + 2.02094576023350569471e00
    q = q * w - 2.40339491173441421878e00
    q = q * w + 1.0
    arc = y + y * (p * w / q)
    return tl.where(half, arc * -2.0 + _HALF_PI, arc)


@triton.jit
def parameter(place: tl.constexpr, cell):
    """One parameter of each lane's cell, float64: its own where it differs from cell to cell, else the nominal one.

    ``cell``: (nominal parameters, row of ``varied`` of each or -1, pointers to each lane's place in row 0 of
    ``varied``, distance of its rows, whether the lane is at its own cell, else at the nominal one, r, l).
    """
    nominal, rows, values, distance, own, radius, disc = cell
    shared = tl.load(nominal + place)
    if place == R:
        return tl.where(own, radius, shared)
    if place == L:
        return tl.where(own, disc, shared)
    row = tl.load(rows + place)
    there = own & (row >= 0)
    return tl.where(
        there, tl.load(values + tl.maximum(row, 0) * distance, mask=there, other=0.0).to(tl.float64), shared
    )


@triton.jit
def circuit_of(n, is_set, cell):
    """The constants of one state: linear, series, cubic, disc, thermal, lowering, w_00, area times Richardson's."""
    radius, length = parameter(R, cell), parameter(L, cell)
    square = radius * radius
    per_length = 1.0 / (parameter(MU_N, cell) * square) * _PER_LENGTH
    fixed = parameter(R_0, cell)
    series = parameter(R_TIOX, cell) + fixed
    disc = length * per_length / n
    linear = disc + (parameter(L_CELL, cell) - length) * per_length / parameter(N_PLUG, cell) + series
    nominal = parameter(R_NOMINAL, cell)
    thermal = parameter(R_TH0, cell) * (nominal * nominal) / square * tl.where(is_set, 1.0, parameter(R_THEFF, cell))
    eps = parameter(EPS_PHIB, cell)
    lowering = tl.sqrt(tl.sqrt(n * _LOWERING / (eps * eps * eps)))
    cubic = fixed * fixed * parameter(ALPHA_LINE, cell) * parameter(R_TH_LINE, cell)
    w_00 = tl.sqrt(n / parameter(EPS, cell)) * _W_00
    return linear, series, cubic, disc, thermal, lowering, w_00, square * _AREA


@triton.jit
def current_of(rest, linear, cubic):
    """The current that makes a voltage over the resistances; their cubic part is little, so two steps are enough."""
    j = rest / linear
    j2 = cubic * j * j
    j = (rest + j * j2 * 2.0) / (linear + j2 * 3.0)
    j2 = cubic * j * j
    return (rest + j * j2 * 2.0) / (linear + j2 * 3.0)


@triton.jit
def balance(j, v, is_set, circuit, t_0, barrier_0, phi):
    """g(J) = ln I_s - ln J with its slopes in J and ln N, the drop over the interface, the barrier with its slopes."""
    linear, series, cubic, disc, thermal, lowering, w_00, area = circuit
    per_j = 1.0 / j
    j2 = cubic * j * j
    u = v - j * (linear + j2)
    du = -(linear + j2 * 3.0)
    du_x = j * disc
    t = t_0 + j * (v - j * (series + j2)) * thermal
    theta = t * _K
    per_theta = 1.0 / theta
    dt = thermal * (v - j * (series * 2.0 + j2 * 4.0)) * (per_theta * _K)
    psi = tl.where(is_set, phi + u, phi - u)
    lowered = psi > 0.0
    psi = tl.where(lowered, psi, 1.0)
    root = tl.where(lowered, tl.sqrt(tl.sqrt(psi)) * lowering, 0.0)
    raw = barrier_0 - root
    steep = root / psi * tl.where(is_set, -0.25, 0.25)
    raw_j, raw_x = steep * du, steep * du_x - root * 0.25
    there = raw > 0.0
    barrier, dbarrier, barrier_x = tl.where(there, raw, 0.0), tl.where(there, raw_j, 0.0), tl.where(there, raw_x, 0.0)
    # SET: tunnelling through the barrier.
    y = w_00 * per_theta
    tanh = 1.0 - 2.0 / (tl.exp(y * 2.0) + 1.0)
    excess, slope = y - tanh, 1.0 - tanh * tanh
    per_w = 1.0 / w_00
    z, q = u * excess * per_w, u + barrier * slope
    filled = 1.0 - tl.exp(-z)
    per_both = 1.0 / (q * filled)
    per_q, per_filled = filled * per_both * 0.5, q * per_both
    dy = -y * dt
    dtanh = slope * dy
    dz = (du * excess + u * (dy - dtanh)) * per_w
    dq = du + dbarrier * slope - barrier * tanh * dtanh * 2.0
    g_set = tl.log(area * t * tl.sqrt(w_00 * q * _PI) * filled * per_j / _K) + z - barrier * tanh * per_w
    dg_set = dt + dq * per_q - (dbarrier * tanh + barrier * dtanh) * per_w + dz * per_filled
    tanh_x = slope * y * 0.5
    z_x = (du_x * excess + u * (y * 0.5 - tanh_x)) * per_w - z * 0.5
    q_x = du_x + barrier_x * slope - barrier * tanh * tanh_x * 2.0
    g_x_set = q_x * per_q + 0.25 - (barrier_x * tanh + barrier * (tanh_x - tanh * 0.5)) * per_w + z_x * per_filled
    # RESET and read: over the barrier.
    x = u * per_theta
    filled = 1.0 - tl.exp(-x)
    per_filled = 1.0 / filled
    g = tl.log(area * t * t * filled * per_j) + (u - barrier) * per_theta
    dg = dt * 2.0 + (barrier * dt - dbarrier) * per_theta + (du * per_theta - x * dt) * per_filled
    g_x = du_x * per_theta * per_filled - barrier_x * per_theta
    g, dg, g_x = tl.where(is_set, g_set, g), tl.where(is_set, dg_set, dg), tl.where(is_set, g_x_set, g_x)
    return g, dg - per_j, g_x, u, raw, raw_j, raw_x


@triton.jit
def newton_in_drop(j, v, g, dg, u, is_set, phi):
    """(J after Newton's step in ln of the drop over the interface, whether the step is trusted, and is the last)."""
    change = g * v / (dg * j * u)
    new = v * j / (v - u + u * tl.exp(change))
    far = tl.abs(change)
    trusted = (u > 0.0) & (dg < 0.0) & (far < 1.0) & (is_set | (u < phi))
    return new, trusted, trusted & (far < 0.01) & (tl.abs(new - j) < j * _NEARLY)


@triton.jit
def kinetics(i, i_x, n, v, is_set, full, cell):
    """(ln(|dN/dt| / N) in 1/s without the bound factor, NaN outside the model, its slope in ln N)."""
    charge = tl.where(full, i * 0.0 + _CHARGE, i * 0.0 + _CHARGE_PUBLISHED)
    boltzmann = tl.where(full, i * 0.0 + _K, i * 0.0 + _K_PUBLISHED)
    fixed, nominal, radius = parameter(R_0, cell), parameter(R_NOMINAL, cell), parameter(R, cell)
    square = fixed * fixed * parameter(ALPHA_LINE, cell) * parameter(R_TH_LINE, cell) * i * i
    constant = parameter(R_TIOX, cell) + fixed
    drop = v - i * (constant + square)
    thermal = parameter(R_TH0, cell) * (nominal * nominal) / (radius * radius)
    thermal = thermal * tl.where(is_set, 1.0, parameter(R_THEFF, cell))
    kelvin = parameter(T_0, cell) + i * drop * thermal
    per_theta = 1.0 / (boltzmann * kelvin)
    falls = constant + square * 3.0
    theta_x = thermal * (drop - i * falls) * i * i_x / kelvin
    in_disc = i * _FIELD / (n * charge * parameter(MU_N, cell) * (radius * radius))
    field = tl.where(is_set, in_disc, drop / parameter(L_CELL, cell))
    field_x = tl.where(is_set, i_x - 1.0, -falls * i * i_x / drop)
    hop, energy = parameter(HOP, cell), parameter(DW_A, cell)
    gamma = tl.abs(field) * hop * _GAMMA / energy
    inside = gamma < 1.0
    gamma = tl.where(inside, gamma, 0.5)
    arc = gamma * asin(gamma)
    energy = energy * per_theta
    height, drive = energy * (tl.sqrt(1.0 - gamma * gamma) + arc), energy * gamma * _HALF_PI
    back = tl.exp(drive * -2.0)
    forth = 1.0 - back
    plug = parameter(N_PLUG, cell)
    rate = tl.log((plug + n) * hop * parameter(NU_0, cell) * 0.5 / (parameter(L, cell) * n) * forth) - height + drive
    drive_x = drive * (field_x - theta_x)
    rate_x = n / (plug + n) - 1.0 + drive_x * back * 2.0 / forth + height * theta_x - energy * arc * field_x + drive_x
    return tl.where(inside, rate, float("nan")), rate_x


@triton.jit
def fit_at(v):
    """What of the explicit fit depends on the voltage alone: alpha, beta, ln c, d and f of SET, g and h of the rest."""
    a = (1.0 / (tl.exp((v - _A2) / _A3) + 1.0) * _A_TOP - 1.0) * _A0
    b = (1.0 - tl.exp(v)) * _B1 + v * _B0
    c = tl.log(tl.exp(v / _C3) * _C2 - v * _C1 - _C0)
    d = tl.exp(v / _D3) * _D2 - v * _D1 - _D0
    f = 1.0 / (tl.exp(tl.log(v / _F2) * _F3) + 1.0) * _F1 + _F0
    g = (1.0 - tl.exp(v * -_G1)) * _G0
    h = v * _H1 + _H0 + tl.exp(v * -_H3) * _H2
    return a, b, c, d, f, g, h


@triton.jit
def fitted_along(n, is_set, fit):
    """(|I|, d ln|I| / d ln N) of the explicit fit at N, from :func:`fit_at`."""
    a, b, c, d, f, g, h = fit
    part = tl.exp(d * (c - tl.log(n)))
    grown = b * tl.exp(-f * tl.log(part + 1.0))
    up = a + grown
    up_x = grown * f * d * part / (part + 1.0) / up
    part = h * tl.exp(tl.log(n / _READ_N) * _READ_EXPONENT)
    down = g * tl.exp(tl.log(part + 1.0) * -_PER_ROOT)
    return tl.where(is_set, up, down), tl.where(is_set, up_x, part / (part + 1.0) * (-_READ_EXPONENT * _PER_ROOT))
