"""The layer whose state golden files keep: two stacked trials with everything that a configuration can have."""

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD

from vcm_sweep.device import (
    CellParameters,
    Correlation,
    Intervention,
    Mismatch,
    Periphery,
    PulseError,
    ReadNoise,
    Spread,
    StuckCells,
    TargetWalk,
    TelegraphNoise,
    Variability,
    VCMDevice,
    VCMRPUConfig,
    Walk,
    Window,
    WriteError,
)


def devices() -> tuple[VCMDevice, VCMDevice]:
    """A tabulated device with every mechanism, and one of the explicit model with an intervention."""
    everything = Variability(
        d2d={"r": Spread(0.03), "l": Spread(0.02)},
        correlation=Correlation(names=("r", "l"), matrix=((1.0, 0.5), (0.5, 1.0))),
        c2c={"r": Walk(0.01, 0.0, 0.1)},
        targets={"l": TargetWalk(0.01)},
        window=Window(Spread(0.02), Spread(0.02)),
        stuck=StuckCells(0.05, 0.05),
        pulse=PulseError(0.005, 0.01),
        write=WriteError(0.01),
        mismatch=Mismatch(0.1, 0.2),
        read_noise=ReadNoise(0.01, 0.01),
        telegraph=TelegraphNoise(0.02),
    )
    first = VCMDevice(CellParameters(R_TiOx=700.0), everything, Periphery(-1.0, 1.0), model="full", dw_min=1e-3)
    spread = Variability(d2d={"r": Spread(0.03)})
    return first, VCMDevice(variability=spread, dw_min=1e-3, intervention=Intervention("matched"))


def new_layer() -> AnalogLinear:
    """A new layer of 6 inputs and 4 outputs."""
    torch.manual_seed(7)
    return AnalogLinear(6, 4, rpu_config=VCMRPUConfig(device=devices(), trials=2))


def train_layer(layer: AnalogLinear, steps: int = 5) -> None:
    """Train some steps towards larger outputs."""
    x = torch.linspace(-1, 1, 2 * 8 * 6).reshape(2, 8, 6)
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    optimizer.regroup_param_groups(layer)
    for _ in range(steps):
        optimizer.zero_grad()
        (layer(x) - 1).square().mean().backward()
        optimizer.step()
