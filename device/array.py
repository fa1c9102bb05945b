"""Stacked arrays of cells: fabrication, programming and pulsing."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ._random import stream_key
from ._update import (
    CLIP_HIGH,
    CLIP_LOW,
    DETERMINISTIC_IMPLICIT,
    DIRECT,
    MEAN_COUNT,
    SLOPE,
    STOCHASTIC,
    Cells,
    Tables,
    Train,
    update_array,
)
from .seeds import ArraySeeds
from .tables import RateTables, build_tables
from .variability import VARYING, Spread
from .vcm_device import VCMDevice

if TYPE_CHECKING:
    from aihwkit.simulator.parameters.training import UpdateParameters

    from ._update_cuda import StackCells, StackTables

COUNTERS = ("pulses_set", "pulses_reset", "energy_j", "pulses_skipped")


class CellArrays(torch.nn.Module):
    """K arrays of (out, in) cells, one per trial, with a leading trial axis on every tensor.

    Buffers: ``log_n`` (K, out * in) float64, ln of N in 1e26/m3; ``weight`` (K, out, in) float32, what the
    periphery reads; ``base_*`` and ``walked_*`` of N_max, N_min, r and l, (K, out * in) float32, or (K, 1)
    where no trial lets them differ; ``boost`` exp(m/2) likewise; ``counters`` (K, 4) float64, see ``COUNTERS``.

    A parameter that walks has a ``walked_*`` of its own; otherwise it is the ``base_*`` tensor.
    """

    log_n: torch.Tensor
    weight: torch.Tensor
    boost: torch.Tensor
    counters: torch.Tensor

    def __init__(
        self, devices: Sequence[VCMDevice], out_size: int, in_size: int, seeds: Sequence[ArraySeeds], index: int
    ) -> None:
        super().__init__()
        self.devices = tuple(devices)
        self.out_size, self.in_size = out_size, in_size
        self._tables = _shared_tables(self.devices)
        self._walks = [_walk_table(device) for device in self.devices]
        # What the kernels work on, and the learning rates on the device; made when first needed.
        self._views: tuple[int, list[Cells], list[np.ndarray]] | None = None
        self._on_device: tuple[StackCells, StackTables] | None = None
        self._rates: tuple[tuple[float, ...], torch.Tensor] | None = None
        self.fabricate(seeds, index)

    @property
    def trials(self) -> int:
        """Number of stacked arrays."""
        return len(self.devices)

    def fabricate(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Draw new arrays from the trials' device streams, all weights at 0. ``index`` names the layer."""
        cells = self.out_size * self.in_size
        generators = [torch.Generator().manual_seed(stream_key(seed.device, index)) for seed in seeds]
        for name in VARYING:
            drawn = [_draw(device, name, cells, g) for device, g in zip(self.devices, generators, strict=True)]
            base = _stack(drawn)
            walks = any(name in d.variability.c2c and d.variability.c2c[name].active for d in self.devices)
            if walks:
                base = base.expand(-1, cells).contiguous()
            self.register_buffer(f"base_{name}", base)
            self.register_buffer(f"walked_{name}", base.clone() if walks else base)
        self._views = self._on_device = None
        boost = [d.variability.mismatch.draw(cells, g) for d, g in zip(self.devices, generators, strict=True)]
        self.register_buffer("boost", _stack(boost))
        self.register_buffer("log_n", torch.zeros(self.trials, cells, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(self.trials, self.out_size, self.in_size))
        self.register_buffer("counters", torch.zeros(self.trials, len(COUNTERS), dtype=torch.float64))
        self.program(torch.zeros(self.trials, self.out_size, self.in_size))

    def program(self, weight: torch.Tensor) -> None:
        """Set the weights, (K, out, in), each clipped to what its cell and the window reach."""
        for k, device in enumerate(self.devices):
            target = device.periphery.concentration(weight[k].reshape(-1).to(self.log_n.device))
            low, high = self._limits(k)
            log_n = torch.minimum(torch.maximum(torch.log(target), low), high)
            self.log_n[k] = log_n
            self.weight[k] = device.periphery.weight(torch.exp(log_n)).view(self.out_size, self.in_size)

    def _limits(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Lowest and highest ln N of each cell of trial k: of the window and of its own bounds."""
        low, high = self.devices[k].window
        return (
            torch.log(self.get_buffer("walked_N_min")[k].double()).clamp_min(low),
            torch.log(self.get_buffer("walked_N_max")[k].double()).clamp_max(high),
        )

    def fraction_at_bound(self, k: int) -> float:
        """Share of trial k's cells within 0.1 % in N of an end of their window or of N_min, N_max."""
        low, high = self._limits(k)
        return ((self.log_n[k] <= low + 1e-3) | (self.log_n[k] >= high - 1e-3)).double().mean().item()

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """All that pulses change in trial k's array, on the CPU; the rest follows from its seed."""
        state = {"log_n": self.log_n[k], "weight": self.weight[k], "counters": self.counters[k]}
        for name in VARYING:
            walk = self.devices[k].variability.c2c.get(name)
            if walk is not None and walk.active:
                state[f"walked_{name}"] = self.get_buffer(f"walked_{name}")[k]
        return {name: values.detach().cpu().clone() for name, values in state.items()}

    def load_state(self, k: int, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state` gave of an array with the same device, seed and index."""
        for name, values in state.items():
            self.get_buffer(name)[k] = values.to(self.log_n.device)

    def pulse(
        self,
        x: torch.Tensor,
        d: torch.Tensor,
        learning_rates: Sequence[float],
        update: "UpdateParameters",
        keys: Sequence[int],
    ) -> None:
        """Fire the pulses of a batch. x: (K, batch, in), d: (K, batch, out) float32; one key per trial.

        A trial whose learning rate is 0 is not touched; a sample with a value that is not finite fires nothing.
        """
        if self.log_n.is_cuda:
            self.pulse_on_device(x, d, learning_rates, update, keys)
            return
        x_host, d_host = x.detach().contiguous().numpy(), d.detach().contiguous().numpy()
        cells, counters = self._bound()
        for k, device in enumerate(self.devices):
            if learning_rates[k] == 0:
                continue
            update_array(
                x_host[k], d_host[k], np.uint64(keys[k]), cells[k], _kernel_tables(self._tables[k]),
                _train(device, learning_rates[k], update), self._walks[k], counters[k],
            )  # fmt: skip

    def pulse_on_device(
        self,
        x: torch.Tensor,
        d: torch.Tensor,
        learning_rates: Sequence[float],
        update: "UpdateParameters",
        keys: Sequence[int],
    ) -> None:
        """:meth:`pulse` by the kernels of a GPU, which the host does not wait for; x and d are there already."""
        from ._update_cuda import StackCells, StackTables, update_stack

        device = self.log_n.device
        if self._on_device is None:
            cells = StackCells(self.log_n, self.weight, self._four("base"), self._four("walked"), self.boost)
            self._on_device = cells, StackTables.build(self.devices, self._tables, self._walks, device)
        rates = tuple(float(rate) for rate in learning_rates)
        if self._rates is None or self._rates[0] != rates or self._rates[1].device != device:
            self._rates = rates, torch.tensor(rates, dtype=torch.float64, device=device)
        signed = torch.from_numpy(np.array(keys, np.uint64).view(np.int64)).to(device, non_blocking=True)
        cells, tables = self._on_device
        train = _train(self.devices[0], 0.0, update)
        update_stack(x, d, signed, self._rates[1], train, cells, tables, self.counters)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "CellArrays":
        """torch moves every buffer by itself: those that were one stay one, and what points to them is made anew."""
        shared = [name for name in VARYING if self.get_buffer(f"walked_{name}") is self.get_buffer(f"base_{name}")]
        # A change of type is ignored, as aihwkit's tiles do: the state needs its double precision.
        super()._apply(lambda values: fn(values).to(values.dtype), recurse)  # type: ignore[no-untyped-call]
        for name in shared:
            self.register_buffer(f"walked_{name}", self.get_buffer(f"base_{name}"))
        self._views = self._on_device = None
        return self

    def _four(self, kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        n_max, n_min, r, length = (self.get_buffer(f"{kind}_{name}") for name in VARYING)
        return n_max, n_min, r, length

    def shift(self, change: torch.Tensor) -> None:
        """Add ``change``, (K, out, in), to the weights without pulses; each cell keeps what it reaches.

        What is not finite adds nothing.
        """
        self.program(self.weight + torch.nan_to_num(change, 0.0, 0.0, 0.0))

    def _bound(self) -> tuple[list[Cells], list[np.ndarray]]:
        """What the kernel reads and writes: views of the buffers, made anew when those have moved."""
        where = self.log_n.data_ptr()
        if self._views is None or self._views[0] != where:
            arrays = [self._cells(k) for k in range(self.trials)]
            self._views = (where, arrays, [self.counters[k].numpy() for k in range(self.trials)])
        return self._views[1], self._views[2]

    def _cells(self, k: int) -> Cells:
        low, high = self.devices[k].window

        def four(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            n_max, n_min, r, length = (values[k].numpy() for values in self._four(kind))
            return n_max, n_min, r, length

        return Cells(
            self.log_n[k].numpy(), self.weight[k].view(-1).numpy(), four("base"), four("walked"),
            self.boost[k].numpy(), np.array([low]), np.array([high]),
        )  # fmt: skip


_KINDS = {"DETERMINISTIC_IMPLICIT": DETERMINISTIC_IMPLICIT, "MEAN_COUNT": MEAN_COUNT}


def _train(device: VCMDevice, learning_rate: float, update: "UpdateParameters") -> Train:
    kind = _KINDS.get(update.pulse_type.name, STOCHASTIC)
    implicit = kind == DETERMINISTIC_IMPLICIT
    return Train(
        pulse_s=device.pulse_s,
        reference_length=float(device.parameters.l),
        learning_rate=float(learning_rate),
        dw_min=device.dw_min,
        desired_bl=update.desired_bl,
        fixed_bl=update.fixed_bl,
        update_bl_management=update.update_bl_management,
        update_management=update.update_management,
        kind=kind,
        x_resolution=float(max(update.x_res_implicit if implicit else update.res, 0.0)),
        d_resolution=float(max(update.d_res_implicit if implicit else update.res, 0.0)),
    )


def _draw(device: VCMDevice, name: str, cells: int, generator: torch.Generator) -> torch.Tensor:
    nominal = float(getattr(device.parameters, name))
    spread = device.variability.d2d.get(name, Spread())
    if spread.sigma == 0:
        return torch.full((1,), nominal, dtype=torch.float32)
    return spread.draw(nominal, cells, generator).float()


def _stack(drawn: list[torch.Tensor]) -> torch.Tensor:
    width = max(len(values) for values in drawn)
    return torch.stack([values.expand(width) for values in drawn]).contiguous()


def _walk_table(device: VCMDevice) -> np.ndarray:
    table = np.zeros((len(VARYING), 4))
    for row, name in enumerate(VARYING):
        walk = device.variability.c2c.get(name)
        if walk is not None:
            table[row, DIRECT], table[row, SLOPE] = walk.direct, walk.slope
            table[row, CLIP_LOW], table[row, CLIP_HIGH] = -walk.clip, walk.clip
    return table


def _shared_tables(devices: Sequence[VCMDevice]) -> list[RateTables]:
    """One set of tables per trial; trials of equal physics and ranges share it."""
    known: dict[tuple[object, ...], RateTables] = {}
    tables = []
    for device in devices:
        variability, p = device.variability, device.parameters
        log_n = device.log_n_range
        radius = variability.limits("r", p)
        key = (
            device.periphery, log_n, radius, device.set_voltage_v, device.reset_voltage_v, device.model,
            *(getattr(p, name) for name in p.names()),
        )  # fmt: skip
        if key not in known:
            known[key] = build_tables(
                p, device.periphery, log_n, radius, device.set_voltage_v, device.reset_voltage_v, device.model
            )
        tables.append(known[key])
    return tables


def _kernel_tables(t: RateTables) -> Tables:
    return Tables(
        t.x_first, t.x_step, t.r_first, t.r_inverse_step, t.g_set, t.g_reset, t.power_set, t.power_reset, t.weight
    )
