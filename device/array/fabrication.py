"""Fabrication of stacked arrays: what differs from cell to cell is drawn, and where each cell's window ends."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

from vcm_sweep.device.array.side_by_side import side_by_side
from vcm_sweep.device.kernels.cpu.lanes.arrays import solve_cells
from vcm_sweep.device.kernels.cpu.lanes.rows import work_space
from vcm_sweep.device.kernels.layout import N_MAX, N_MIN, Cells, Physics, Pulses, Scratch
from vcm_sweep.device.seeds import ArraySeeds, stream_key
from vcm_sweep.device.variability import VARYING, draw_spreads
from vcm_sweep.device.vcm_device import VCMDevice

T = TypeVar("T")

# Streams of an array's fabrication, one per mechanism, so that none moves with another's settings. The errors of
# writing are drawn later, each from a stream of its own below WRITE.
_SPREAD, _MISMATCH, _WINDOW, _STUCK, _TELEGRAPH, _FLICKER, WRITE = range(7)


def moves(device: VCMDevice, name: str) -> bool:
    """Whether pulses change a parameter."""
    walk, target = device.variability.c2c.get(name), device.variability.targets.get(name)
    return (walk is not None and walk.active) or (target is not None and target.active)


def varied_names(devices: Sequence[VCMDevice]) -> tuple[str, ...]:
    """Parameters that spread in any trial, besides those that may walk and nu_0, which is a factor of the rate."""
    names: list[str] = []
    for device in devices:
        for name, spread in device.variability.d2d.items():
            if spread.sigma > 0 and name not in (*VARYING, "nu_0") and name not in names:
                names.append(name)
    return tuple(sorted(names))


def draw_parameters(
    devices: Sequence[VCMDevice],
    beside: Sequence[VCMDevice | None],
    varied: Sequence[str],
    seeds: Sequence[ArraySeeds],
    index: int,
    cells: int,
) -> dict[str, torch.Tensor]:
    """Every parameter that spreads: the four that may walk, nu_0 as a factor of the rate, and the others.

    Args:
        devices: one per trial.
        beside: the devices of the trials' other cells, whose spreads move the same streams on.
        varied: of all devices, see :func:`varied_names`.
        seeds: one per trial.
        index: of the layer.
        cells: of each array.

    Returns:
        The buffers ``base_*``, ``walked_*``, ``varied`` and ``rate`` of :class:`CellArrays`.
    """
    drawn = [
        draw_spreads(
            device.variability.d2d, device.variability.correlation, device.parameters, cells,
            _generator(seed, index, _SPREAD), also=() if other is None else other.variability.d2d,
        )
        for device, other, seed in zip(devices, beside, seeds, strict=True)
    ]  # fmt: skip

    def values(name: str) -> torch.Tensor:
        return stack([
            own[name].float() if name in own else torch.full((1,), float(getattr(device.parameters, name)))
            for device, own in zip(devices, drawn, strict=True)
        ])  # fmt: skip

    made = {}
    for name in VARYING:
        base = values(name)
        walks = any(moves(device, name) for device in devices)
        if walks:
            base = base.expand(-1, cells).contiguous()
        made[f"base_{name}"] = base
        made[f"walked_{name}"] = base.clone() if walks else base
    others = [values(name) for name in varied]
    width = cells if others else 1
    stacked = torch.stack([v.expand(-1, width) for v in others], 1) if others else torch.zeros(len(devices), 0, 1)
    made["varied"] = stacked.contiguous()
    nominal = torch.tensor([[float(device.parameters.nu_0)] for device in devices], dtype=torch.float64)
    made["rate"] = (values("nu_0").double() / nominal).float().contiguous()
    return made


def draw_mechanisms(
    devices: Sequence[VCMDevice], seeds: Sequence[ArraySeeds], index: int, cells: int
) -> dict[str, torch.Tensor]:
    """Mismatch, windows as weights, stuck cells, and where the slow noise of reading begins.

    Returns:
        The buffers ``boost``, ``w_low``, ``w_high``, ``stuck``, ``telegraph`` and ``flicker`` of :class:`CellArrays`.
    """

    def drawn(stream: int, draw: Callable[[VCMDevice, torch.Generator], T]) -> list[T]:
        return [
            draw(device, _generator(seed, index, stream)) for device, seed in zip(devices, seeds, strict=True)
        ]  # fmt: skip

    def window(device: VCMDevice, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        periphery = device.periphery
        return device.variability.window.draw(periphery.w_min, periphery.w_max, cells, generator)

    def stuck(device: VCMDevice, generator: torch.Generator) -> torch.Tensor:
        mechanism = device.variability.stuck
        return mechanism.draw(cells, generator) if mechanism.active else torch.zeros(1, dtype=torch.int8)

    def traps(device: VCMDevice, generator: torch.Generator) -> torch.Tensor:
        mechanism = device.variability.telegraph
        return mechanism.start((cells,), generator) if mechanism.active else torch.zeros(1, dtype=torch.int8)

    def flicker(device: VCMDevice, generator: torch.Generator) -> torch.Tensor:
        noise = device.variability.read_noise
        return noise.start((cells,), generator) if noise.flicker > 0 else torch.zeros(1, 1)

    ends = drawn(_WINDOW, window)
    return {
        "boost": stack(drawn(_MISMATCH, lambda device, g: device.variability.mismatch.draw(cells, g))),
        "w_low": stack([low.float() for low, _ in ends]),
        "w_high": stack([high.float() for _, high in ends]),
        "stuck": stack(drawn(_STUCK, stuck)),
        "telegraph": stack(drawn(_TELEGRAPH, traps)),
        "flicker": _stack_padded(drawn(_FLICKER, flicker)),
    }


def _generator(seed: ArraySeeds, index: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(stream_key(seed.device, index, stream))


def window_ends(
    devices: Sequence[VCMDevice], pulses: Sequence[Pulses], physics: Sequence[Physics], cells: Sequence[Cells],
    stuck: torch.Tensor,
) -> list[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """Lowest and highest ln N that pulses reach in each array, (cells,) or (1,); crossed for cells that are stuck."""
    ends: list[tuple[torch.Tensor, torch.Tensor]] = []
    looked_for = []
    for k, device in enumerate(devices):
        low, high = (-math.inf, math.inf) if pulses[k].own_window else device.window
        ends.append((torch.tensor([low], dtype=torch.float64), torch.tensor([high], dtype=torch.float64)))
        differ = device.reads_cell and (physics[k].direct or physics[k].axes.shape[0] > 0)
        per_cell = device.periphery.clamped and (device.variability.window.active or differ)
        if per_cell and not pulses[k].own_window:
            looked_for.append(k)

    def bounds(place: int) -> tuple[np.ndarray, np.ndarray]:
        walked = cells[looked_for[place]].walked
        least, most = log_bounds(torch.from_numpy(walked[N_MIN]), torch.from_numpy(walked[N_MAX]))
        return least.numpy(), most.numpy()

    def find(place: int, given: tuple[np.ndarray, np.ndarray]) -> None:
        k, (least, most) = looked_for[place], given
        lowest = ln_n_at(cells[k], physics[k], cells[k].w_low, least, most)
        highest = ln_n_at(cells[k], physics[k], cells[k].w_high, least, most)
        # A cell that its own N_min or N_max stops has no other end: those may walk.
        lowest[lowest <= least], highest[highest >= most] = -np.inf, np.inf
        ends[k] = torch.from_numpy(lowest), torch.from_numpy(highest)

    side_by_side(bounds, find, len(looked_for))
    return [_crossed(*ends[k], stuck[k], cells[k].log_n.size) for k in range(len(devices))]


def _crossed(
    low: torch.Tensor, high: torch.Tensor, stuck: torch.Tensor, cells: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The ends of an array's window, in the wrong order for cells that are stuck."""
    if bool(stuck.any()):
        low, high = low.expand(cells).clone(), high.expand(cells).clone()
        low[stuck != 0], high[stuck != 0] = torch.inf, -torch.inf
    return low, high


def log_bounds(n_min: torch.Tensor, n_max: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """ln N_min and ln N_max of an array's cells, (cells,) or (1,), on the CPU."""
    return torch.log(n_min.double()).cpu(), torch.log(n_max.double()).cpu()


def solved(
    cells: Cells, physics: Physics, weight: np.ndarray, bounds: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """ln N at which each cell of an array reads a weight, (cells,) or (1,), or the end of what it can be."""
    low, high = bounds
    return torch.from_numpy(ln_n_at(cells, physics, weight, low.numpy(), high.numpy()))


def ln_n_at(cells: Cells, physics: Physics, weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """:func:`solved` by the compiled loop alone."""
    out = np.empty(cells.log_n.size)
    solve_cells(cells, physics, Scratch.new(), work_space(physics.nominal), weight, low, high, out)
    return out


def stack(drawn: list[torch.Tensor]) -> torch.Tensor:
    """(K, width) of tensors of one width or of 1, which hold for every cell."""
    width = max(len(values) for values in drawn)
    return torch.stack([values.expand(width) for values in drawn]).contiguous()


def _stack_padded(drawn: list[torch.Tensor]) -> torch.Tensor:
    """(K, rows, width) of tensors that have fewer rows or hold for every cell; missing rows are 0."""
    rows, width = max(len(v) for v in drawn), max(v.shape[1] for v in drawn)
    out = torch.zeros(len(drawn), rows, width)
    for k, values in enumerate(drawn):
        out[k, : len(values)] = values
    return out
