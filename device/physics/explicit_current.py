"""The current of the explicit model: the fit of Ntinas et al., IEEE TCAS-II (2022)."""

from __future__ import annotations

from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.torch_later import torch

# Coefficients of Ntinas et al. as arXiv 2403.06746 uses them; the compiled loops import them from here. The letters
# are those of the functions of V below: a to f for SET (V < 0), g and h for RESET and read (V > 0).
A0, A2, A3 = 4.81951e-5, 1.03685, 0.34567
B0, B1 = 7.0526e-4, 4.2383e-5
C0, C1, C2, C3 = 4.004, 2.8646, 4.2125, 1.4134
D0, D1, D2, D3 = 6.6103, 1.4524, 7.4235, 4.0585
F0, F1, F2, F3 = 6.326e-4, 1.4711, 0.5199, 1.561
G0, G1 = 4.84e-3, 0.1353
H0, H1, H2, H3 = 5.548, 6.8648, 51.586, 0.36
READ_EXPONENT, READ_ROOT, READ_REFERENCE_N = -1.054, 1.0526, 0.008


def _explicit_set(v: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    a1 = A0 * torch.exp(torch.tensor(-A2 / A3, dtype=torch.float64)).item()
    alpha = (a1 + A0) / (1 + torch.exp(-(v + A2) / A3)) - A0
    beta = B1 * (1 - torch.exp(-v)) - B0 * v
    c = C2 * torch.exp(-v / C3) + C1 * v - C0
    d = D2 * torch.exp(-v / D3) + D1 * v - D0
    f = F0 + (F1 - F0) / (1 + (-v / F2) ** F3)
    return -alpha - beta / (1 + (c / n) ** d) ** f


def explicit_read_coefficients(voltage_v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """g (A) and h of the explicit branch V > 0: I = g / (1 + h (N/0.008)^-1.054)^(1/1.0526)."""
    g = -G0 * torch.expm1(-G1 * voltage_v)
    h = H0 + H1 * voltage_v + H2 * torch.exp(-H3 * voltage_v)
    return g, h


def _explicit_reset(v: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    g, h = explicit_read_coefficients(v)
    return g / (1 + h * (n / READ_REFERENCE_N) ** READ_EXPONENT) ** (1 / READ_ROOT)


def explicit(v: torch.Tensor, n: torch.Tensor, parameters: CellParameters) -> torch.Tensor:
    """The current in A, with the sign of V; ``parameters`` are not used, since the fit is for the nominal geometry."""
    # Usually all voltages have one sign, and one branch is enough.
    if bool((v < 0).all()):
        return _explicit_set(v, n)
    if bool((v > 0).all()):
        return _explicit_reset(v, n)
    # Each branch is evaluated only inside its own domain: an infinite gradient of the branch that is not taken would
    # turn the gradient of the result into NaN.
    zero = torch.zeros_like(v)
    negative = _explicit_set(torch.where(v < 0, v, torch.full_like(v, -0.1)), n)
    positive = _explicit_reset(torch.where(v > 0, v, torch.full_like(v, 0.1)), n)
    return torch.where(v < 0, negative, torch.where(v > 0, positive, zero))
