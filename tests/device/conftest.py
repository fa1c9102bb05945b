"""What tests of the device share: an independent cell with the explicit current, solved by scipy, and one thread."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp


@dataclass(frozen=True)
class ReferenceCell:
    """One cell by sections 1, 2 and 4 of docs/physics.md; it shares no code with the package."""

    N_max: float = 20.0
    N_min: float = 0.008
    N_plug: float = 20.0
    r: float = 45e-9
    l: float = 0.4e-9
    l_cell: float = 3e-9
    T_0: float = 293.0
    R_th0: float = 15.72e6
    a: float = 0.25e-9
    nu_0: float = 2e13
    dW_A: float = 1.35
    mu_n: float = 4e-6
    scaling: float = 0.27
    factor: float = 1.0

    E = 1.602e-19
    K = 8.61860174781523e-5
    R_NOMINAL = 45e-9

    def current(self, v: float, n: float) -> float:
        if v == 0:
            return 0.0
        if v > 0:
            g = 4.84e-3 * (1 - math.exp(-0.1353 * v))
            h = 5.548 + 6.8648 * v + 51.586 * math.exp(-0.36 * v)
            return g / (1 + h * (n / 0.008) ** -1.054) ** (1 / 1.0526)
        a0, a2, a3 = 4.81951e-5, 1.03685, 0.34567
        a1 = a0 * math.exp(-a2 / a3)
        alpha = (a1 + a0) / (1 + math.exp(-(v + a2) / a3)) - a0
        beta = 4.2383e-5 * (1 - math.exp(-v)) - 7.0526e-4 * v
        c = 4.2125 * math.exp(-v / 1.4134) + 2.8646 * v - 4.004
        d = 7.4235 * math.exp(-v / 4.0585) + 1.4524 * v - 6.6103
        f = 6.326e-4 + (1.4711 - 6.326e-4) / (1 + (-v / 0.5199) ** 1.561)
        return -alpha - beta / (1 + (c / n) ** d) ** f

    def series(self, i: float) -> float:
        return 650.0 + 719.2437 * (1 + 719.2437 * 3.92e-3 * i * i * 90471.47)

    def temperature(self, v: float, n: float) -> float:
        i = self.current(v, n)
        rth = self.R_th0 * (self.R_NOMINAL / self.r) ** 2 * (1.0 if v < 0 else self.scaling)
        return self.T_0 + i * (v - i * self.series(i)) * rth

    def bare_rate(self, v: float, n: float) -> float:
        """dN/dt without the factor F of equation (4)."""
        i = self.current(v, n)
        t = self.temperature(v, n)
        area = math.pi * self.r**2
        if v < 0:
            r_disc = self.l / (n * 1e26 * 2 * self.E * self.mu_n * area)
            field = i * r_disc / self.l
        else:
            field = (v - i * self.series(i)) / self.l_cell
        gamma = 2 * field * self.a / (math.pi * self.dW_A)
        common = math.sqrt(1 - gamma**2) + gamma * math.asin(gamma)
        down = self.dW_A * (common - gamma * math.pi / 2)
        up = self.dW_A * (common + gamma * math.pi / 2)
        bracket = math.exp(-down / (self.K * t)) - math.exp(-up / (self.K * t))
        return -self.factor * (self.N_plug + n) / 2 * self.a * self.nu_0 / self.l * bracket

    def rate(self, v: float, n: float) -> float:
        ratio = n / self.N_max if v < 0 else self.N_min / n
        return 0.0 if v == 0 or ratio >= 1 else self.bare_rate(v, n) * (1 - ratio**10)

    def displacement(self, n: float, v: float, duration: float) -> float:
        """Change of ln N over a pulse, by scipy's Radau on the change itself, so that a tiny one keeps its digits."""
        x = math.log(n)
        first = self.rate(v, n) / n * duration
        if first == 0:
            return 0.0

        def slope(_t: float, y: np.ndarray) -> list[float]:
            state = math.exp(x + y[0])
            return [self.rate(v, state) / state * duration]

        solution = solve_ivp(
            slope,
            (0.0, 1.0),
            [0.0],
            method="Radau",
            rtol=1e-9,
            atol=1e-10 * min(abs(first), 1.0),
            first_step=1e-6,
        )
        assert solution.success
        return float(solution.y[0, -1])

    def after(self, n: float, v: float, duration: float) -> float:
        return n * math.exp(self.displacement(n, v, duration))


@pytest.fixture(scope="session")
def reference_cell() -> type[ReferenceCell]:
    return ReferenceCell


@pytest.fixture(autouse=True)
def one_thread():
    """Bit-equality needs one thread; restored for the other folders."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
