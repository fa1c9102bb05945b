"""Helpers for tests of arrays: an array of one trial, pulses on all of its cells, and copies of its state."""

from typing import Any

import torch
from aihwkit.simulator.parameters.training import UpdateParameters

from vcm_sweep.device import ArraySeeds, Variability, VCMDevice
from vcm_sweep.device.array.cell_arrays import CellArrays
from vcm_sweep.device.array.kernel_inputs import kernel_physics
from vcm_sweep.device.tables.sharing import shared_tables


def array(variability: Variability | None = None, out: int = 4, inn: int = 5, seed: int = 1, **device: Any) -> Any:
    """An array of one trial, with all weights at 0."""
    spec = VCMDevice(variability=variability or Variability(), **device)
    cells = CellArrays([spec], out, inn, [ArraySeeds(seed, 2, 3)], 0)
    if device.get("method") == "tabulated":
        # Tables also where the equations would be solved.
        names = cells.varied_names
        cells._physics = [kernel_physics(device, shared_tables(device), names) for device in cells.devices]
    return cells


def fire(cells: Any, direction: int, pulses: int = 1, key: int = 5) -> None:
    """Fire exactly ``pulses`` pulses at every cell: in a train of that length, all pulses have probability 1."""
    x = torch.ones(cells.trials, 1, cells.in_size)
    d = torch.full((cells.trials, 1, cells.out_size), -float(direction))
    keys = [key] * cells.trials
    cells.pulse(x, d, [1e3] * cells.trials, [UpdateParameters(desired_bl=pulses)] * cells.trials, keys, 0)


def own(cells: Any, *names: str, kind: str = "walked") -> dict[str, Any]:
    """The cells' parameters as the reference takes them, each (cells,) or (1,) float64."""
    out = {}
    for name in names:
        if name == "nu_0":
            out[name] = cells.rate[0].double().numpy() * float(cells.devices[0].parameters.nu_0)
            continue
        varied = name in cells.varied_names
        values = cells.varied[0, cells.varied_names.index(name)] if varied else getattr(cells, f"{kind}_{name}")[0]
        out[name] = values.double().numpy()
    return out


def log_n(cells: Any) -> Any:
    """A copy of ln N, (cells,) float64."""
    return cells.log_n[0].clone().numpy()


def weights(cells: Any) -> Any:
    """A copy of the weights, (cells,) float64."""
    return cells.weight[0].reshape(-1).double().numpy()


def put(cells: Any, x: Any) -> None:
    """Set ln N of all cells directly, without pulses or verification, and update what is read."""
    from vcm_sweep.device.kernels.cpu.lanes.arrays import read_cells
    from vcm_sweep.device.kernels.cpu.lanes.rows import work_space
    from vcm_sweep.device.kernels.layout import Scratch

    cells.log_n[0] = torch.as_tensor(x)
    physics = cells._physics[0]
    read_cells(cells._cells(0), physics, Scratch.new(), work_space(physics.nominal))
