"""The implicit current of JART VCM v1b: a Schottky interface in series with disc, plug and line.

Equations (5, 6, 12-19) of Bengel et al., IEEE TCAS-I 67(12) 4618 (2020), with the magnitude J of the current as the
one unknown: the drop u over the interface, the temperature and the barrier follow from J explicitly, and J is the
root of g(J) = ln I_s(u(J), T(J)) - ln J.

SET (V < 0, thermionic field emission) has one root. Newton's steps are taken in tau = ln(u / J), in which g has slope
1 at both ends.

RESET and read (V > 0, thermionic emission) can have three roots: the barrier rises to phi_Bn0 with infinite slope as u
nears phi = phi_Bn0 - phi_n, so that I_s(u) is N-shaped. The physical one has the largest current, the smallest u. As a
function of u, g rises from -infinity at u = 0 and is concave up to phi. Newton's method started left of the first root
stays left of it and converges to it. Where two tangents show that g stays below 0 up to phi, there is no root there;
the root is then beyond phi, where the barrier is constant and g rises again. Every step is kept inside a bracket.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import (
    CODATA_2018,
    CONCENTRATION_UNIT,
    ELECTRON_MASS,
    PLANCK,
    RICHARDSON,
    VACANCY_CHARGE_NUMBER,
    VACUUM_PERMITTIVITY,
)
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.torch_later import torch

_CHUNK = 1 << 14  # cells whose intermediate values stay in the cache of a core
_MAX_ROUNDS = 200
_E, _K = CODATA_2018


def full_current(
    v: torch.Tensor, n: torch.Tensor, p: CellParameters, guess: torch.Tensor | None = None
) -> torch.Tensor:
    """I in A of the implicit model, with the sign of V; float32 or float64 as ``n``, of the broadcast shape.

    Converged to 1e-10 relative in float64, to rounding in float32. Gradients with respect to V, N and the parameters
    flow by implicit differentiation.

    ``guess``: |I| of each cell within some per cent, on the physical branch, of the broadcast shape. It may be given
    only if all voltages have one sign.
    """
    used = [n, v, *(getattr(p, f.name) for f in fields(p))]
    shape = torch.broadcast_shapes(*(x.shape for x in used if isinstance(x, torch.Tensor)))
    v, n = v.expand(shape), n.expand(shape)
    out = torch.zeros_like(n)
    for sign in (-1.0, 1.0):
        where = v < 0 if sign < 0 else v > 0
        count = int(where.sum())
        if count == 0:
            continue
        if count == where.numel():
            return sign * _solve(v.abs(), n, p, sign < 0, guess)
        picked = p.replace_unchecked(**{
            f.name: x.expand(shape)[where] for f in fields(p) if _varies(x := getattr(p, f.name))
        })  # fmt: skip
        out = out.masked_scatter(where, sign * _solve(v[where].abs(), n[where], picked, sign < 0))
    return out


def barrier_above_zero(v: torch.Tensor, n: torch.Tensor, p: CellParameters) -> torch.Tensor:
    """phi_Bn0 less its lowering in V, negative where the barrier has vanished: current and rate have a kink at 0.

    v and n of one shape with one sign of V.
    """
    shape = torch.broadcast_shapes(v.shape, n.shape)
    is_set = bool((v < 0).all())
    i = full_current(v, n, p).abs()
    c = _circuit(v.abs().reshape(-1), n.reshape(-1), _flat(p, shape), is_set)
    j = i.reshape(-1)
    u = c.v - j * (c.r_linear + c.r_cubic * j * j)
    psi = c.phi + u if is_set else c.phi - u
    return (c.phi_0 - c.lowering * _quarter(psi, j)).reshape(shape)


def _varies(x: Value) -> bool:
    return isinstance(x, torch.Tensor) and x.numel() > 1


@dataclass
class _Circuit:
    """The coefficients of the equation g(J) = 0, each per cell or one for all cells; in V, ohm, K/W and K."""

    v: torch.Tensor
    r_linear: torch.Tensor  # disc, plug and series resistance at zero current
    r_series: Value  # series resistance at zero current
    r_cubic: Value  # R_0^2 alpha_line R_th,line: series resistance per squared current
    r_thermal: Value
    t_0: Value
    phi_0: Value  # barrier without lowering
    phi: Value  # phi_Bn0 - phi_n
    lowering: torch.Tensor  # of the barrier per psi^(1/4)
    w_00: torch.Tensor  # W00 / e
    log_area: Value  # ln(A A*)

    def at(self, index: torch.Tensor | slice) -> _Circuit:
        """The coefficients of some of the cells."""
        return _Circuit(*(x[index] if _varies(x := getattr(self, f.name)) else x for f in fields(self)))


def _circuit(v: torch.Tensor, n: torch.Tensor, p: CellParameters, is_set: bool) -> _Circuit:
    def sqrt(x: Value) -> Value:
        return torch.sqrt(x) if isinstance(x, torch.Tensor) else math.sqrt(x)

    def log(x: Value) -> Value:
        return torch.log(x) if isinstance(x, torch.Tensor) else math.log(x)

    area = math.pi * p.r**2
    per_length = 1 / (CONCENTRATION_UNIT * VACANCY_CHARGE_NUMBER * _E * p.mu_n * area)
    r_series = p.R_TiOx + p.R_0
    r_plug = (p.l_cell - p.l) * per_length / p.N_plug
    lowering = (_E**3 * VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / (8 * math.pi**2)) / (
        p.eps_phiB * VACUUM_PERMITTIVITY
    ) ** 3
    w_00 = PLANCK / (4 * math.pi) * sqrt(VACANCY_CHARGE_NUMBER * CONCENTRATION_UNIT / ELECTRON_MASS)
    return _Circuit(
        v=v,
        r_linear=p.l * per_length / n + (r_plug + r_series),
        r_series=r_series,
        r_cubic=p.R_0**2 * p.alpha_line * p.R_th_line,
        r_thermal=p.R_th0 * (p.r_nominal / p.r) ** 2 * (1.0 if is_set else p.R_theff_scaling),
        t_0=p.T_0,
        phi_0=p.phi_Bn0,
        phi=p.phi_Bn0 - p.phi_n,
        lowering=torch.sqrt(torch.sqrt(lowering * n)),
        w_00=w_00 / sqrt(p.eps * VACUUM_PERMITTIVITY) * torch.sqrt(n),
        log_area=log(area * RICHARDSON),
    )


def _g(j: torch.Tensor, c: _Circuit, is_set: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """g(J), dg/dJ and the drop u > 0 over the interface, for J above 0 and below the short-circuit J, where u = 0."""
    j2 = c.r_cubic * j * j
    u = c.v - j * (c.r_linear + j2)
    du = -(c.r_linear + 3 * j2)
    t = c.t_0 + j * (c.v - j * (c.r_series + j2)) * c.r_thermal
    dt = c.r_thermal * (c.v - j * (2 * c.r_series + 4 * j2)) / t  # dT/dJ / T
    theta = _K * t
    sign = -1.0 if is_set else 1.0
    psi = c.phi - sign * u
    lowered = psi > 0
    root = torch.sqrt(torch.sqrt(torch.where(lowered, psi, torch.ones_like(psi)))) * c.lowering
    root = torch.where(lowered, root, torch.zeros_like(root))
    barrier = c.phi_0 - root
    flat = barrier <= 0
    barrier = barrier.clamp_min(0.0)
    # d barrier / du = sign lowering psi^(-3/4) / 4; 0 where there is no lowering or no barrier.
    dbarrier = torch.where(flat | ~lowered, torch.zeros_like(u), 0.25 * sign * root / psi * du)
    if is_set:
        y = c.w_00 / theta
        tanh = torch.tanh(y)
        excess = y - tanh
        if y.dtype == torch.float32:  # y - tanh y cancels for small y
            y2 = y * y
            series = y * y2 * (1 / 3 - y2 * (2 / 15 - y2 * (17 / 315 - y2 * (62 / 2835))))
            excess = torch.where(y < 0.35, series, excess)
        slope = 1 - tanh * tanh
        z = u * excess / c.w_00
        q = u + barrier * slope
        filled = -torch.expm1(-z)
        dy = -y * dt
        dtanh = slope * dy
        dz = (du * excess + u * (dy - dtanh)) / c.w_00
        dq = du + dbarrier * slope - 2 * barrier * tanh * dtanh
        log_i = c.log_area + torch.log(t * torch.sqrt(math.pi * c.w_00 * q) * filled * (1 / _K))
        log_i = log_i + z - barrier * tanh / c.w_00
        dlog_i = dt + dq / (2 * q) - (dbarrier * tanh + barrier * dtanh) / c.w_00 + dz / filled
    else:
        x = u / theta
        filled = -torch.expm1(-x)
        log_i = c.log_area + torch.log(t * t * filled) + (u - barrier) / theta
        dlog_i = 2 * dt + (barrier * dt - dbarrier) / theta + (du / theta - x * dt) / filled
    return log_i - torch.log(j), dlog_i - 1 / j, u


def _solve(
    v: torch.Tensor, n: torch.Tensor, p: CellParameters, is_set: bool, guess: torch.Tensor | None = None
) -> torch.Tensor:
    shape = n.shape
    circuit = _circuit(v.reshape(-1), n.reshape(-1), _flat(p, shape), is_set)
    differentiable = torch.is_grad_enabled() and any(
        x.requires_grad for f in fields(circuit) if isinstance(x := getattr(circuit, f.name), torch.Tensor)
    )
    with torch.no_grad():
        frozen = _Circuit(*(
            x.detach() if isinstance(x := getattr(circuit, f.name), torch.Tensor) else x for f in fields(circuit)
        ))  # fmt: skip
        chunks = [slice(k, k + _CHUNK) for k in range(0, n.numel(), _CHUNK)]
        if guess is not None:
            start = guess.reshape(-1)
            parts = [_root_near(frozen.at(chunk), start[chunk], is_set) for chunk in chunks]
        else:
            find = _root_set if is_set else _root_reset
            parts = [find(frozen.at(chunk)) for chunk in chunks]
        j = torch.cat(parts) if len(parts) > 1 else parts[0]
    if differentiable:
        # Implicit differentiation: one more Newton step from the root leaves the value as it is, but has the root's
        # gradient.
        residual, slope, _ = _g(j, circuit, is_set)
        j = j - (residual - residual.detach()) / slope.detach()
    return j.reshape(shape)


def _flat(p: CellParameters, shape: Sequence[int]) -> CellParameters:
    return p.replace_unchecked(
        **{f.name: x.expand(shape).reshape(-1) for f in fields(p) if _varies(x := getattr(p, f.name))}
    )


def _short_circuit(c: _Circuit) -> torch.Tensor:
    """The largest possible J, at which nothing drops over the interface: the root of a cubic, by Newton from above."""
    j = c.v / c.r_linear
    for _ in range(3):
        j2 = c.r_cubic * j * j
        j = (c.v + 2 * j * j2) / (c.r_linear + 3 * j2)
    return j


def _inside(new: torch.Tensor, old: torch.Tensor, low: torch.Tensor, high: torch.Tensor, round_: int) -> torch.Tensor:
    """Where a Newton step may be taken: it is short enough to be the last one, or it stays inside the bracket.

    Where the lowering of the barrier sets in, its slope is infinite and Newton's steps can alternate between the ends
    of a bracket. So in every sixth round only last steps are taken, and the other brackets are halved.
    """
    end = (new - old).abs() <= 1e-7 * old
    if round_ % 6 == 5:
        return end
    return end | ((new > low) & (new < high))


def _settled(
    new: torch.Tensor, old: torch.Tensor, newton: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    """Where a Newton step was so short that only rounding errors remain (1e-12), or the bracket has closed."""
    short, rounding = (1e-8, 1e-14) if old.dtype == torch.float64 else (1e-4, 2e-7)
    return (newton & ((new - old).abs() <= short * old)) | (high - low <= rounding * high)


def _root_near(c: _Circuit, guess: torch.Tensor, is_set: bool) -> torch.Tensor:
    high = _short_circuit(c)
    return _bracketed(c, torch.zeros_like(high), high, torch.minimum(guess, 0.999999 * high), is_set)


def _root_set(c: _Circuit) -> torch.Tensor:
    high = _short_circuit(c)
    return _bracketed(c, torch.zeros_like(high), high, 0.5 * high, True)


def _bracketed(c: _Circuit, low: torch.Tensor, high: torch.Tensor, j: torch.Tensor, is_set: bool) -> torch.Tensor:
    """The root between ``low`` (0, or g > 0) and ``high`` (g < 0), from a first guess, by Newton steps in tau."""
    # A cell that is done is not changed any more: its last bit may not depend on how many rounds its neighbours need.
    remaining, done = _Remaining(j), torch.zeros_like(j, dtype=torch.bool)
    for round_ in range(_MAX_ROUNDS):
        g, dg, u = _g(j, c, is_set)
        positive = g > 0
        low = torch.where(positive, j, low)
        high = torch.where(positive, high, j)
        # d tau = -g / (dg/dtau), with dJ/dtau = -J u / V, as if the rest of the circuit were linear.
        step = (g * c.v / (dg * j * u)).clamp(-6.0, 6.0)
        new = c.v * j / (c.v - u + u * torch.exp(step))
        middle = torch.where(low > 0, 0.5 * (low + high), 0.25 * high)
        safe = _inside(new, j, low, high, round_) & (dg < 0)
        new = torch.where(done, j, torch.where(safe, new, middle))
        done = done | _settled(new, j, safe, low, high)
        j = new
        index = remaining.keep(j, ~done)
        if remaining.done:
            return remaining.out
        if index is not None:
            j, low, high, done, c = j[index], low[index], high[index], done[index], c.at(index)
    raise _not_converged(j, c)


def _root_reset(c: _Circuit) -> torch.Tensor:
    j, found, high = _first_branch(c)
    if not bool(found.all()):
        rest = (~found).nonzero().squeeze(-1)
        high = high[rest]
        j[rest] = _bracketed(c.at(rest), torch.zeros_like(high), high, 0.5 * high, False)
    return j


def _first_branch(c: _Circuit) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """J of the root with u < phi; whether each cell has one; and, for those that do not, a J above the root (g < 0)."""
    short = _short_circuit(c)
    # J at u = phi: a smaller J would mean u > phi, which is off this branch.
    least = ((c.v - c.phi) / (c.r_linear + c.r_cubic * short * short)).clamp_min(0.0)
    least = torch.minimum(least, short)
    theta = _K * (c.t_0 + short * (c.v - short * (c.r_series + c.r_cubic * short * short)) * c.r_thermal)
    barrier = c.phi_0 - c.lowering * _quarter(c.phi, short)
    saturation = torch.exp(c.log_area + 2 * torch.log(theta / _K) - barrier.clamp_min(0.0) / theta)
    u = theta * torch.log1p(short / saturation)
    j = torch.maximum(short - u / c.r_linear, 0.5 * (least + short))
    j = torch.where(j < short, j, short * (1 - 1e-3))
    high, low = short, torch.zeros_like(j)
    from_left, from_right = torch.full_like(j, torch.inf), least.clone()
    remaining, absent, above = _Remaining(j), torch.zeros_like(j, dtype=torch.bool), short
    none, done = torch.zeros_like(j, dtype=torch.bool), torch.zeros_like(j, dtype=torch.bool)
    where: torch.Tensor | None = None
    for round_ in range(_MAX_ROUNDS):
        g, dg, _ = _g(j, c, False)
        positive, rising = g > 0, dg < 0
        newton = j - g / dg
        low = torch.where(positive, j, low)
        left = ~positive & rising
        high = torch.where(left, j, high)
        from_left = torch.where(left, newton, from_left)
        from_right = torch.where(~positive & ~rising, torch.maximum(from_right, newton), from_right)
        # A concave g lies below its tangents. Once the zero of the left one is at or left of the zero of the right
        # one, g is negative everywhere between them.
        none = none | ((low == 0) & (from_left <= from_right) & ~done)
        middle = 0.5 * (torch.where(positive, j, torch.maximum(low, from_right)) + torch.minimum(high, from_left))
        middle = torch.where(positive | torch.isinf(from_left), 0.5 * (j + high), middle)
        safe = rising & _inside(newton, j, low, high, round_)
        new = torch.where(none | done, j, torch.where(safe, newton, middle))
        done = done | _settled(new, j, safe, low, high)
        active = ~(done | none)
        j = new
        if where is None:
            absent, above = none, high
        else:
            absent = absent.index_copy(0, where, none)
            above = above.index_copy(0, where, high)
        index = remaining.keep(j, active)
        if remaining.done:
            return remaining.out, ~absent, above
        if index is not None:
            where = remaining.where
            j, low, high, c = j[index], low[index], high[index], c.at(index)
            from_left, from_right = from_left[index], from_right[index]
            none, done = none[index], done[index]
    raise _not_converged(j, c)


def _quarter(phi: Value, like: torch.Tensor) -> torch.Tensor:
    psi = phi if isinstance(phi, torch.Tensor) else torch.as_tensor(phi, dtype=like.dtype, device=like.device)
    return torch.sqrt(torch.sqrt(psi.clamp_min(0.0)))


class _Remaining:
    """The cells that an iteration still works on: those that are done are dropped, and their values kept."""

    def __init__(self, like: torch.Tensor) -> None:
        self.out = torch.empty_like(like)
        self.where: torch.Tensor | None = None
        self.done = False

    def keep(self, values: torch.Tensor, active: torch.Tensor) -> torch.Tensor | None:
        """Store ``values`` and return the indices of the active cells once enough are done to be worth dropping.

        None: go on with all cells as they are, or ``done``: no cell is active.
        """
        count = int(active.sum())
        self.done = count == 0
        if not self.done and count > 0.7 * active.numel():
            return None
        if self.where is None:
            self.out = values.clone()
        else:
            self.out.index_copy_(0, self.where, values)
        if self.done:
            return None
        index = active.nonzero().squeeze(-1)
        self.where = index if self.where is None else self.where[index]
        return index


def _not_converged(j: torch.Tensor, c: _Circuit) -> DeviceError:
    return DeviceError(
        f"the current did not converge in {_MAX_ROUNDS} steps, first at |V| = "
        f"{c.v.reshape(-1)[0].item():g} V: check the parameters for values far from a cell's"
    )
