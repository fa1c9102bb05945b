"""The full model of one cell, written from the physics notes (docs/physics.md) in numpy and solved by scipy.

It shares no code with the package: constants are CODATA 2018, and the parameters are a dict typed from the table in the
notes. Scalars and arrays both work; ``p`` maps names to numbers or arrays that broadcast with v and n. Numbers in
parentheses are the notes' equations.

The unknown is u = |V_s|, the voltage over the Schottky interface, between 0 and |V|. For each u the load line gives
|I|, and with it the temperature; a root is a u at which the interface carries that same current. The barrier is linear
in s = psi^(1/4). A grid that is uniform in s is therefore dense where the barrier is singular (psi = 0), and the
residual is smooth as a function of s.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import constants
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, elementwise

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Cell: TypeAlias = dict[str, Any]

DEFAULTS: Cell = {
    "T_0": 293.0, "eps": 17.0, "eps_phiB": 5.5, "phi_Bn0": 0.18, "phi_n": 0.1, "mu_n": 4e-6, "N_max": 20.0,
    "N_min": 0.008, "N_plug": 20.0, "a": 0.25e-9, "nu_0": 2e13, "dW_A": 1.35, "R_th0": 15.72e6, "r": 45e-9,
    "r_nominal": 45e-9, "l_cell": 3e-9, "l": 0.4e-9, "R_theff_scaling": 0.27, "R_TiOx": 650.0, "R_0": 719.2437,
    "R_th_line": 90471.47, "alpha_line": 3.92e-3,
}  # fmt: skip
V_READ, V_SET, V_RESET, PULSE_S = 0.2, -0.342, 0.7065, 1e-6
N_LOW, N_HIGH, W_MIN, W_MAX = 0.06, 1.98974521274400865, -1.5, 1.5

E, K, H = constants.e, constants.k, constants.h  # exact since 2019
EPS_0 = 8.8541878128e-12  # F/m, CODATA 2018; scipy's is that of 2022, 7e-10 larger: up to 1e-8 of a current
M, RICHARDSON, Z = 9.10938e-31, 6.01e5, 2.0
_LEFT, _RIGHT, _BLOCK = 256, 96, 128  # points of the grid; cells scanned at a time, for the cache


class Problem:
    """The quantities of equations (5), (6), (12)-(19), for one or many cells at one voltage each."""

    def __init__(self, v: ArrayLike, n: ArrayLike, p: Cell | None = None) -> None:
        p = DEFAULTS | (p or {})
        names = list(p)
        values = np.broadcast_arrays(*(np.asarray(x, float) for x in (v, n, *p.values())))
        self.v, self.n = values[0], values[1]
        self.p = dict(zip(names, values[2:], strict=True))
        q = self.p
        self.set, self.drop = self.v < 0, np.abs(self.v)
        self.area = np.pi * q["r"] ** 2
        density = self.n * 1e26
        self.r_disc = q["l"] / (density * Z * E * q["mu_n"] * self.area)
        r_plug = (q["l_cell"] - q["l"]) / (q["N_plug"] * 1e26 * Z * E * q["mu_n"] * self.area)
        self.linear = self.r_disc + r_plug + q["R_TiOx"] + q["R_0"]
        self.cubic = q["R_0"] ** 2 * q["alpha_line"] * q["R_th_line"]
        self.r_th = q["R_th0"] * (q["r_nominal"] / q["r"]) ** 2 * np.where(self.set, 1.0, q["R_theff_scaling"])
        self.lowering = (E**3 * Z * density / (8 * np.pi**2 * (q["eps_phiB"] * EPS_0) ** 3)) ** 0.25
        self.edge = q["phi_Bn0"] - q["phi_n"]  # V_s above which nothing lowers the barrier
        self.w00 = E * H / (4 * np.pi) * np.sqrt(Z * density / (M * q["eps"] * EPS_0))

    def args(self) -> tuple[Array, ...]:
        """The arrays that `residual` and `_interface` take after u."""
        q = self.p
        return (self.drop, self.set, self.linear, self.cubic, self.r_th, self.area, self.lowering, self.edge, self.w00,
                q["T_0"], q["phi_Bn0"], q["R_TiOx"], q["R_0"])  # fmt: skip

    def series(self, i: Array) -> Array:
        """R_series (12) at the current i."""
        return self.p["R_TiOx"] + self.p["R_0"] + self.cubic * i**2

    def temperature(self, i: Array) -> Array:
        """T (5) at the current i = |I|."""
        return self.p["T_0"] + i * (self.drop - i * self.series(i)) * self.r_th


def _load_line(u: Array, drop: Array, linear: Array, cubic: Array) -> Array:
    """|I| from |V| - u = I linear + I^3 cubic, by Newton's method from above, where the cubic is convex."""
    left = np.maximum(drop - u, 0.0)
    i = np.minimum(left / linear, np.cbrt(left / np.maximum(cubic, 1e-300)))
    for _ in range(60):
        step = (i * linear + i**3 * cubic - left) / (linear + 3 * i**2 * cubic)
        i = i - step
        if np.all(np.abs(step) <= 1e-9 * i):  # Newton converges quadratically: the next step is below the last bit
            break
    return i


def _interface(u: Any, i: Any, is_set: Any, *args: Any) -> Any:
    """|I_s| of the interface at |V_s| = u, heated by the current i: (14)-(19)."""
    drop, r_th, area, lowering, edge, w00, t_0, phi_0, series = args
    t = t_0 + i * (drop - i * series) * r_th
    psi = np.maximum(edge + np.where(is_set, u, -u), 0.0)
    phi = np.maximum(phi_0 - lowering * psi**0.25, 0.0)
    kt = K * t
    with np.errstate(over="ignore"):
        thermionic = area * RICHARDSON * t**2 * np.exp(-E * phi / kt) * np.expm1(E * u / kt)
        if not np.any(is_set):
            return thermionic
        x = w00 / kt
        w0 = w00 / np.tanh(x)
        eps = w00 / (x - np.tanh(x))
        root = np.sqrt(np.pi * w00 * E * (u + phi / np.cosh(x) ** 2))
        field = area * RICHARDSON / K * t * root * np.exp(-E * phi / w0) * np.expm1(E * u / eps)
    return np.where(is_set, field, thermionic)


def residual(u: Any, *args: Any) -> Any:
    """Interface current minus the current of the load line; negative at u = 0, positive at u = |V|."""
    drop, is_set, linear, cubic, r_th, area, lowering, edge, w00, t_0, phi_0, r_tiox, r_0 = args
    i = _load_line(u, drop, linear, cubic)
    series = r_tiox + r_0 + cubic * i**2
    return _interface(u, i, is_set, drop, r_th, area, lowering, edge, w00, t_0, phi_0, series) - i


def grid(problem: Problem) -> Array:
    """Values of u from 0 to |V| along a new last axis, uniform in psi^(1/4) up to the singularity."""
    drop, edge = problem.drop[..., None], problem.edge[..., None]
    start = np.clip(np.where(problem.set[..., None], -edge, 0.0), 0.0, drop)  # below it: no lowering, smooth
    stop = np.clip(np.where(problem.set[..., None], drop, edge), 0.0, drop)  # above it: likewise
    sign = np.where(problem.set[..., None], 1.0, -1.0)
    low, high = (np.maximum(edge + sign * x, 0.0) ** 0.25 for x in (start, stop))
    t = np.linspace(0.0, 1.0, _LEFT)
    middle = np.clip(sign * ((low + (high - low) * t) ** 4 - edge), start, stop)
    ends = [start * np.linspace(0.0, 1.0, _RIGHT), middle, stop + (drop - stop) * np.linspace(0.0, 1.0, _RIGHT)]
    return np.sort(np.concatenate([np.broadcast_to(x, (*drop.shape[:-1], x.shape[-1])) for x in ends], axis=-1))


def bracket(problem: Problem) -> tuple[Array, Array, Array]:
    """The two ends of an interval around the root with the largest |I|, and how many sign changes the scan saw."""
    if problem.v.size <= _BLOCK:
        return _scan(problem)
    order = np.argsort(problem.v, axis=None)  # blocks of one polarity need one of the two laws
    v, n, cell = problem.v.ravel()[order], problem.n.ravel()[order], {a: b.ravel()[order] for a, b in problem.p.items()}
    out = np.empty((3, v.size))
    for k in range(0, v.size, _BLOCK):
        part = slice(k, k + _BLOCK)
        out[:, order[part]] = _scan(Problem(v[part], n[part], {a: b[part] for a, b in cell.items()}))
    low, high, changes = out.reshape(3, *problem.v.shape)
    return low, high, changes


def _scan(problem: Problem) -> tuple[Array, Array, Array]:
    args = problem.args()
    wide = tuple(np.asarray(x)[..., None] for x in args)
    u = grid(problem)
    value = residual(u, *wide)
    value[..., 0] = -1.0
    value[..., -1] = 1.0
    first = np.argmax(value > 0, axis=-1)
    changes = (np.diff(np.sign(value) > 0, axis=-1) != 0).sum(axis=-1)
    # Two roots may lie between neighbouring points of the grid: look at the largest residual before the first sign
    # change.
    load = _load_line(u, wide[0], wide[2], wide[3])
    before = np.arange(u.shape[-1]) < first[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(before & (load > 0), np.log1p(value / load), -np.inf)
    log_ratio[..., 0] = -np.inf
    peak = np.clip(np.argmax(log_ratio, axis=-1), 1, u.shape[-1] - 2)

    def at(index: Array) -> Array:
        return np.take_along_axis(u, index[..., None], axis=-1)[..., 0]

    low, high = at(first - 1), at(first)
    near = (np.take_along_axis(log_ratio, peak[..., None], axis=-1)[..., 0] > -0.02) & (peak < first - 1)
    for index in np.argwhere(near):
        k = tuple(index)
        own = [np.asarray(x)[k] for x in args]
        points = np.linspace(at(peak - 1)[k], at(peak + 1)[k], 20001)
        values = residual(points, *own)
        if np.any(values > 0):
            j = int(np.argmax(values > 0))
            low[k], high[k], changes[k] = points[j - 1], points[j], changes[k] + 2
    return low, high, changes


def _current_of(problem: Problem, u: Array) -> Array:
    """|I| of a root, by the one of the two currents that does not subtract nearly equal numbers."""
    i = _load_line(u, problem.drop, problem.linear, problem.cubic)
    q = problem.p
    interface = _interface(u, i, problem.set, problem.drop, problem.r_th, problem.area, problem.lowering, problem.edge,
                           problem.w00, q["T_0"], q["phi_Bn0"], problem.series(i))  # fmt: skip
    return np.where(u < 0.5 * problem.drop, i, interface)


def reference_current(v: ArrayLike, n: ArrayLike, p: Cell | None = None) -> Any:
    """I in A, the root of largest |I|: brentq for one cell, scipy's elementwise Chandrupatla for many."""
    problem = Problem(v, n, p)
    low, high, _ = bracket(problem)
    args = problem.args()
    if problem.v.ndim == 0:
        u = low if problem.v == 0 else brentq(residual, low, high, args=args, xtol=1e-300, rtol=9e-16, maxiter=1000)
    else:
        tolerances = {"xatol": 0.0, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0}
        u = elementwise.find_root(residual, (low, high), args=args, tolerances=tolerances, maxiter=300).x
    i = np.where(problem.v == 0, 0.0, np.sign(problem.v) * _current_of(problem, np.asarray(u)))
    return i if i.ndim else float(i)


def reference_temperature(v: ArrayLike, n: ArrayLike, p: Cell | None = None) -> Any:
    """T in K."""
    problem = Problem(v, n, p)
    t = problem.temperature(np.abs(reference_current(problem.v, problem.n, problem.p)))
    return t if t.ndim else float(t)


def reference_rate(v: ArrayLike, n: ArrayLike, p: Cell | None = None, bounded: bool = True) -> Any:
    """dN/dt in 1e26/m3/s, (1)-(11), with or without the factor F (4); nan where |gamma| reaches 1."""
    problem = Problem(v, n, p)
    q, i = problem.p, np.asarray(reference_current(problem.v, problem.n, problem.p))
    kt = K / E * problem.temperature(np.abs(i))
    inner = problem.v - i * problem.series(i)
    field = np.where(problem.set, i * problem.r_disc / q["l"], inner / q["l_cell"])
    gamma = Z * field * q["a"] / (np.pi * q["dW_A"])
    with np.errstate(invalid="ignore"):
        mean = q["dW_A"] * (np.sqrt(1 - gamma**2) + gamma * np.arcsin(gamma))
        # exp(-dW-/kT) - exp(-dW+/kT), written as one product, so that small voltages keep their digits.
        hops = 2 * np.exp(-mean / kt) * np.sinh(q["dW_A"] * gamma * np.pi / 2 / kt)
    out = -(q["N_plug"] + problem.n) / 2 * q["a"] * q["nu_0"] / q["l"] * hops
    if bounded:
        ahead = np.where(problem.set, np.log(q["N_max"] / problem.n), np.log(problem.n / q["N_min"]))
        out = out * np.where(ahead > 0, -np.expm1(-10 * ahead), 0.0)
    out = np.where(problem.v == 0, 0.0, out)
    return out if out.ndim else float(out)


def reference_displacement(n: float, v: float, duration_s: float, p: Cell | None = None, rtol: float = 1e-10) -> float:
    """Change of ln N over a pulse by Radau, on the change itself so that a tiny one keeps its digits."""
    cell = DEFAULTS | (p or {})
    first = reference_rate(v, n, cell) / n * duration_s
    if first == 0:
        return 0.0

    def slope(_t: float, y: Array) -> list[float]:
        state = n * np.exp(y[0])
        return [reference_rate(v, state, cell) / state * duration_s]

    solution = solve_ivp(slope, (0.0, 1.0), [0.0], method="Radau", rtol=rtol, atol=rtol / 10 * min(abs(first), 1.0))
    assert solution.success
    x = float(solution.y[0, -1])
    return min(x, np.log(cell["N_max"] / n)) if v < 0 else max(x, np.log(cell["N_min"] / n))


def reference_pulse(n: float, v: float, duration_s: float, p: Cell | None = None) -> float:
    """N after a pulse, in 1e26/m3."""
    return float(n * np.exp(reference_displacement(n, v, duration_s, p)))


def reference_time(n: ArrayLike, end: ArrayLike, v: ArrayLike, p: Cell | None = None, panels: int = 8) -> Any:
    """Seconds that a pulse takes from n to end, as an integral of 1/rate (Gauss-Legendre): rate depends on n alone."""
    start, stop, volts, *rest = np.broadcast_arrays(
        *(np.asarray(x, float)[..., None] for x in (n, end, v, *(DEFAULTS | (p or {})).values()))
    )
    node, weight = np.polynomial.legendre.leggauss(10)
    t = ((np.arange(panels)[:, None] + (node + 1) / 2) / panels).ravel()
    length = np.log(stop / start)
    state = start * np.exp(length * t)
    cell = dict(zip(DEFAULTS | (p or {}), rest, strict=True))
    slowness = state / reference_rate(volts, state, cell)
    return (slowness * np.tile(weight / 2 / panels, panels) * length).sum(axis=-1)


def reference_weight(n: ArrayLike, p: Cell | None = None) -> Any:
    """w of section 5 of the notes: the cell's own read current, turned into a weight as for the nominal cell."""
    low, high = reference_current(V_READ, N_LOW), reference_current(V_READ, N_HIGH)
    return W_MIN + (W_MAX - W_MIN) * (np.asarray(reference_current(V_READ, n, p)) - low) / (high - low)


def reference_concentration(w: float, p: Cell | None = None) -> float:
    """N at which a cell reads as w; nan if there is none between N_min and N_max."""
    cell = DEFAULTS | (p or {})

    def miss(x: float) -> float:
        return float(reference_weight(np.exp(x), cell)) - w

    low, high = np.log(cell["N_min"]), np.log(cell["N_max"])
    if miss(low) > 0 or miss(high) < 0:
        return float("nan")
    return float(np.exp(brentq(miss, low, high, xtol=1e-15, rtol=1e-14)))
