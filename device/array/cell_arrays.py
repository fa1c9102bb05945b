"""Stacked arrays of cells: their buffers and state, how they are programmed and pulsed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.fabrication import (
    WRITE,
    draw_mechanisms,
    draw_parameters,
    log_bounds,
    moves,
    solved,
    stack,
    varied_names,
    window_ends,
)
from vcm_sweep.device.array.fresh_steps import exchanged, fresh_steps
from vcm_sweep.device.array.kernel_inputs import kernel_physics, kernel_pulses
from vcm_sweep.device.array.pulsing import Batch, GpuArrays, HostViews, four, has_kernels, pulse_on_host, refuse_invalid
from vcm_sweep.device.array.side_by_side import side_by_side
from vcm_sweep.device.kernels.cpu.lanes.arrays import read_cells, solve_cells
from vcm_sweep.device.kernels.cpu.lanes.rows import work_space
from vcm_sweep.device.kernels.layout import Cells, Partner, Physics, Scratch
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.seeds import ArraySeeds, stream_key
from vcm_sweep.device.tables.axes import is_direct
from vcm_sweep.device.tables.jumps import refuse_jumps_of_spreads
from vcm_sweep.device.tables.sharing import shared_tables
from vcm_sweep.device.tables.wider_window import beyond_window
from vcm_sweep.device.variability import VARYING
from vcm_sweep.device.vcm_device import VCMDevice, roles

if TYPE_CHECKING:
    from aihwkit.simulator.parameters.training import UpdateParameters

COUNTERS = ("pulses_set", "pulses_reset", "energy_j", "pulses_skipped", "pulses_invalid")


class CellArrays(torch.nn.Module):
    """K arrays of (out, in) cells, one per trial, with a leading trial axis on every tensor.

    Buffers: ``log_n`` (K, out * in) float64, ln of N in 1e26/m3; ``weight`` (K, out, in) float32, what the
    periphery reads; ``base_*`` and ``walked_*`` of N_max, N_min, r and l, (K, out * in) float32, or (K, 1)
    where no trial lets them differ; ``varied`` (K, n, out * in) float32, the other parameters that spread, by
    ``varied_names``; ``targets`` of r and l and the ``polarity`` of the last pulse, where targets are on; ``boost``
    exp(m/2); ``rate`` a factor on both speeds; ``low``, ``high`` float64, ln N where the window ends (crossed for
    cells that are stuck: ``stuck``, int8, -1 low, +1 high); ``w_low``, ``w_high`` the window as weights;
    ``telegraph``, ``flicker`` the slow noise of reading; ``counters`` (K, 5) float64, see ``COUNTERS``; ``writes``
    (K,) int64, how often weights were written and verified. A last axis of 1 holds for every cell.

    A parameter that walks has a ``walked_*`` of its own; otherwise it is the ``base_*`` tensor.

    Where a device has an intervention the cells are those that act; ``partner`` are the others, arrays of their own
    from the same streams, whose parameters count and whose states do not.
    """

    log_n: torch.Tensor
    weight: torch.Tensor
    varied: torch.Tensor
    targets: torch.Tensor
    polarity: torch.Tensor
    boost: torch.Tensor
    rate: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    w_low: torch.Tensor
    w_high: torch.Tensor
    stuck: torch.Tensor
    telegraph: torch.Tensor
    flicker: torch.Tensor
    counters: torch.Tensor
    writes: torch.Tensor

    partner: "CellArrays | None"
    slow: bool
    """Whether the reads of any trial have telegraph or 1/f noise: looked up once, for 256 trials take a while."""

    def __init__(
        self,
        devices: Sequence[VCMDevice],
        out_size: int,
        in_size: int,
        seeds: Sequence[ArraySeeds],
        index: int,
        _beside: Sequence[VCMDevice | None] | None = None,
    ) -> None:
        super().__init__()
        self.given = tuple(devices)
        played = [roles(device) for device in self.given]
        self.devices = tuple(device for device, _ in played)
        # The devices of each trial's other cells: its partners, or, where these are partners, those that act.
        self._beside = [partner for _, partner in played] if _beside is None else list(_beside)
        self._has_partner = _beside is None and any(self._beside)
        self.out_size, self.in_size = out_size, in_size
        self._tables = [
            None
            if is_direct(device, beside=other is not None)
            else shared_tables(device if other is None else beyond_window(device))
            for device, other in zip(self.devices, self._beside, strict=True)
        ]
        for device, tables in zip(self.devices, self._tables, strict=True):
            # Tables are refused when they are built.
            if tables is None:
                refuse_jumps_of_spreads(device)
        self.varied_names = varied_names(self.devices)
        self._physics = [
            kernel_physics(device, tables, self.varied_names)
            for device, tables in zip(self.devices, self._tables, strict=True)
        ]
        self._pulses = [kernel_pulses(device) for device in self.devices]
        self.slow = any(device.variability.slow_reads for device in self.devices)
        # What the kernels work on; made when first needed.
        self._views: tuple[int, HostViews] | None = None
        self._on_device: GpuArrays | None = None
        self.fabricate(seeds, index)

    @property
    def trials(self) -> int:
        """Number of stacked arrays."""
        return len(self.devices)

    def fabricate(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Draw new arrays from the trials' device streams, all weights at 0. ``index`` names the layer."""
        cells = self.out_size * self.in_size
        self._seeds, self._index = list(seeds), index
        self.partner = self._draw_partner(seeds, index)
        self.register_buffer("writes", torch.zeros(self.trials, dtype=torch.int64))
        drawn = draw_parameters(self.devices, self._beside, self.varied_names, seeds, index, cells)
        for name, values in (drawn | draw_mechanisms(self.devices, seeds, index, cells)).items():
            self.register_buffer(name, values)
        moving = any(pulses.moves for pulses in self._pulses)
        self.register_buffer("targets", torch.zeros(self.trials, 2, cells if moving else 1))
        self.register_buffer("polarity", torch.zeros(self.trials, cells if moving else 1, dtype=torch.int8))
        self.register_buffer("log_n", torch.zeros(self.trials, cells, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros(self.trials, self.out_size, self.in_size))
        self.register_buffer("counters", torch.zeros(self.trials, len(COUNTERS), dtype=torch.float64))
        self._set_window()
        self._views = self._on_device = None
        self.program(torch.zeros(self.trials, self.out_size, self.in_size), verify=False)

    def _draw_partner(self, seeds: Sequence[ArraySeeds], index: int) -> "CellArrays | None":
        """The other cells of the trials with an intervention; those without have copies there that nothing asks."""
        if not self._has_partner:
            return None
        devices = [other or own for own, other in zip(self.devices, self._beside, strict=True)]
        acting = [own if other else None for own, other in zip(self.devices, self._beside, strict=True)]
        return CellArrays(devices, self.out_size, self.in_size, seeds, index, acting)

    def _set_window(self) -> None:
        """ln N at which each cell stops; crossed for stuck cells, which are put at their end of the window."""
        cells = [self._cells(k) for k in range(self.trials)]
        ends = window_ends(self.devices, self._pulses, self._physics, cells, self.stuck.cpu())
        self.register_buffer("low", stack([low for low, _ in ends]))
        self.register_buffer("high", stack([high for _, high in ends]))

    def _bounds(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """ln N_min and ln N_max of trial k's cells, (cells,) or (1,), on the CPU."""
        return log_bounds(self.get_buffer("walked_N_min")[k], self.get_buffer("walked_N_max")[k])

    def program(self, weight: torch.Tensor, verify: bool = True) -> None:
        """Set the weights, (K, out, in), each clipped to what its cell and the window reach; trials side by side.

        ``verify``: by write-verify, which leaves its error; cells that are stuck stay.
        """
        if self._elsewhere:
            self._on_host(lambda host: host.program(weight.cpu(), verify))
            return
        cells, *_ = self._bound()

        def find_and_read(k: int, given: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
            physics, scratch = self._physics[k], Scratch.new()
            rows = work_space(physics.nominal)
            solve_cells(cells[k], physics, scratch, rows, *given, cells[k].log_n)
            read_cells(cells[k], physics, scratch, rows)

        side_by_side(lambda k: self._wanted(k, weight[k].reshape(-1).float(), verify), find_and_read, self.trials)
        self.writes += verify

    def _wanted(self, k: int, target: torch.Tensor, verify: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The weight that each cell of trial k is to read, and the lowest and highest ln N that it may have."""
        device = self.devices[k]
        if verify and device.variability.write.sigma > 0:
            key = stream_key(self._seeds[k].device, self._index, WRITE, int(self.writes[k]))
            error = device.variability.write.draw(target.shape, torch.Generator().manual_seed(key))
            target = target + error * (device.periphery.w_max - device.periphery.w_min)
        if device.periphery.clamped:
            target = torch.minimum(torch.maximum(target, self.w_low[k]), self.w_high[k])
        stuck = self.stuck[k].cpu()
        if bool(stuck.any()):
            target = torch.where(stuck != 0, torch.where(stuck < 0, self.w_low[k], self.w_high[k]), target)
        low, high = self._limits(k, stuck)
        return target.contiguous().numpy(), low.numpy(), high.numpy()

    def _limits(self, k: int, stuck: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Lowest and highest ln N of each cell of trial k: of the window and of its own bounds; on the CPU."""
        low, high = self._bounds(k)
        window_low, window_high = self.low[k].cpu(), self.high[k].cpu()
        if stuck is not None:
            window_low = torch.where(stuck != 0, -torch.inf, window_low)
            window_high = torch.where(stuck != 0, torch.inf, window_high)
        return torch.maximum(low, window_low), torch.minimum(high, window_high)

    def fraction_at_bound(self, k: int) -> float:
        """Share of trial k's cells within 0.1 % in N of an end of their window or of N_min, N_max; stuck ones are."""
        low, high = self._limits(k)
        if self._pulses[k].own_window:
            cells, bounds = self._cells(k), self._bounds(k)
            low = torch.maximum(low, solved(cells, self._physics[k], cells.w_low, bounds))
            high = torch.minimum(high, solved(cells, self._physics[k], cells.w_high, bounds))
        log_n = self.log_n[k].cpu()
        return ((log_n <= low + 1e-3) | (log_n >= high - 1e-3)).double().mean().item()

    def asymmetry(self, k: int, most: int = 1 << 14) -> torch.Tensor:
        """ln(|dw_RESET| / |dw_SET|) of the cells that :meth:`steps` has, (cells,) float64 on the CPU."""
        up, down = self.steps(k, most)
        return torch.log(down / up)

    def steps(self, k: int, most: int = 1 << 14) -> tuple[torch.Tensor, torch.Tensor]:
        """(dw_SET, -dw_RESET), the steps of the cells of trial k's fresh array at w = 0, one noise-free pulse each.

        Each (cells,) float64 on the CPU, of the cells that reach w = 0, step both ways and are not stuck; of evenly
        chosen ``most`` where there are more. Under an intervention, the steps that its pulses make.
        """
        own, intervention = self._steps_alone(k, most), self.given[k].intervention
        if self.partner is not None and intervention is not None:
            own = exchanged(own, self.partner._steps_alone(k, most), intervention.takes_speed)
        steps_both_ways = ~torch.isnan(own[0] + own[1])
        return own[0][steps_both_ways], own[1][steps_both_ways]

    def _steps_alone(self, k: int, most: int) -> tuple[torch.Tensor, torch.Tensor]:
        total = self.out_size * self.in_size
        chosen = np.arange(0, total, -(-total // most))
        stuck = self.stuck[k].cpu().expand(total)[chosen] != 0
        return fresh_steps(self._cells(k), self._physics[k], self._pulses[k], chosen, stuck)

    def cell_parameters(self, k: int, most: int) -> tuple[CellParameters, int]:
        """Parameters of evenly chosen cells of trial k's fresh array, and how many, on the CPU.

        At most ``most``; one where all cells are equal.
        """
        total = self.out_size * self.in_size
        drawn = (*(f"base_{name}" for name in VARYING), "rate")
        differ = any(self.get_buffer(name).shape[1] > 1 for name in drawn) or bool(self.varied_names)
        chosen = torch.arange(0, total, -(-total // most)) if differ else torch.zeros(1, dtype=torch.int64)
        own = {name: self.get_buffer(f"base_{name}")[k] for name in VARYING}
        own |= {name: self.varied[k, row] for row, name in enumerate(self.varied_names)}
        own["nu_0"] = self.rate[k].double() * float(self.devices[k].parameters.nu_0)
        picked = {
            name: values.cpu().double()[chosen] if len(values) > 1 else float(values[0])
            for name, values in own.items()
            if len(values) > 1 or name not in VARYING
        }
        return self.devices[k].parameters.replace_unchecked(**picked), len(chosen)

    def resume(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Take the streams of arrays whose buffers have been copied here: what is drawn later comes from those."""
        self._seeds, self._index = list(seeds), index

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """All that pulses and reads change in trial k's array, on the CPU; the rest follows from its seed."""
        state = {"log_n": self.log_n[k], "weight": self.weight[k], "counters": self.counters[k]}
        variability = self.devices[k].variability
        for name in VARYING:
            if moves(self.devices[k], name):
                state[f"walked_{name}"] = self.get_buffer(f"walked_{name}")[k]
        if self._pulses[k].moves:
            state |= {"targets": self.targets[k], "polarity": self.polarity[k]}
        if variability.write.sigma > 0:
            state["writes"] = self.writes[k]
        if variability.telegraph.active:
            state["telegraph"] = self.telegraph[k]
        if variability.read_noise.flicker > 0:
            state["flicker"] = self.flicker[k]
        if self.partner is not None and self._beside[k] is not None:
            # Of the other cells only their walks: they are looked up at the weight of the acting ones.
            moving = [name for name in VARYING if moves(self.partner.devices[k], name)]
            state |= {f"partner.walked_{name}": self.partner.get_buffer(f"walked_{name}")[k] for name in moving}
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
        updates: "Sequence[UpdateParameters]",
        streams: Sequence[int],
        call: int | Count,
    ) -> None:
        """Fire the pulses of a batch. x: (K, batch, in), d: (K, batch, out) float32.

        ``updates``: the settings of each trial's pulse trains, which differ in desired_bl alone.
        ``streams``: the key of each trial's random stream, of which ``call`` names the part for this batch: a trial
        draws the same numbers in every stack. A trial whose learning rate is 0 is not touched; a sample with a value
        that is not finite fires nothing. The host waits for a GPU only where :attr:`on_kernels` is not so.

        Raises:
            DeviceError: a rate outside the model (|gamma| >= 1) in a trial whose device says on_invalid = "error", of
                which a GPU is asked later, by :meth:`refuse_invalid`.
        """
        batch = Batch(x, d, learning_rates, updates, streams, Count(call) if isinstance(call, int) else call)
        if not self._elsewhere:
            pulse_on_host(batch, self.devices, self._physics, self._pulses, self._bound())
        elif self.on_kernels:
            self.on_device().fire(batch)
        else:
            self._on_host(lambda host: host.pulse(*batch._replace(x=x.cpu(), d=d.cpu())))

    @property
    def on_kernels(self) -> bool:
        """Whether a GPU has kernels for the cells: there is Triton, and no intervention. If not, a CPU pulses them."""
        return has_kernels() and not self._has_partner

    def refuse_invalid(self, k: int) -> None:
        """Raise DeviceError if pulses of trial k were outside the model and its device says on_invalid = "error"."""
        refuse_invalid(self.devices[k], float(self.counters[k, -1]))

    def on_device(self) -> GpuArrays:
        """These arrays as the kernels of a GPU see them; made when first asked for, and after the arrays have moved."""
        if self._on_device is None:
            self._on_device = GpuArrays(self.devices, self._of_gpu(), self._pulses, self.get_buffer)
        return self._on_device

    def _of_gpu(self) -> list[Physics]:
        """The physics there: as on a CPU, but no tables where pulses have errors or r and l targets."""
        return [
            kernel_physics(device, None, self.varied_names) if pulses.moves or pulses.width > 0 else physics
            for device, physics, pulses in zip(self.devices, self._physics, self._pulses, strict=True)
        ]

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "CellArrays":
        """torch moves every buffer by itself: those that were one stay one, and what points to them is made anew."""
        shared = [name for name in VARYING if self.get_buffer(f"walked_{name}") is self.get_buffer(f"base_{name}")]
        # A change of type is ignored, as aihwkit's tiles do: the state needs its double precision.
        super()._apply(lambda values: fn(values).to(values.dtype), recurse)  # type: ignore[no-untyped-call]
        for name in shared:
            self.register_buffer(f"walked_{name}", self.get_buffer(f"base_{name}"))
        self._views = self._on_device = None
        return self

    def _on_host(self, work: "Callable[[CellArrays], None]") -> None:
        """Do something that only the CPU's kernels can, and come back."""
        device = self.log_n.device
        try:
            work(self.cpu())
        finally:
            self.to(device)

    @property
    def _elsewhere(self) -> bool:
        return self.log_n.device.type != "cpu"

    def shift(self, change: torch.Tensor) -> None:
        """Add ``change``, (K, out, in), to the weights without pulses; each cell keeps what it reaches.

        What is not finite adds nothing.
        """
        self.program(self.weight + torch.nan_to_num(change, 0.0, 0.0, 0.0), verify=False)

    def _bound(self) -> HostViews:
        """What the kernel reads and writes: views of the buffers, made anew when those have moved."""
        where = self.log_n.data_ptr()
        if self._views is None or self._views[0] != where:
            views = HostViews(
                [self._cells(k) for k in range(self.trials)],
                [self.counters[k].numpy() for k in range(self.trials)],
                [self._partner(k) for k in range(self.trials)],
            )
            self._views = where, views
        return self._views[1]

    def _partner(self, k: int) -> Partner | None:
        """What the kernel is given of trial k's other cells."""
        intervention, other = self.given[k].intervention, self.partner
        if intervention is None or other is None:
            return None
        return Partner(other._cells(k), other._physics[k], other._pulses[k], Scratch.new(), intervention.takes_speed)

    def _cells(self, k: int) -> Cells:
        def flat(name: str) -> np.ndarray:
            # The window is made with the help of the cells, and is not there before.
            values = self.get_buffer(name)[k].cpu() if hasattr(self, name) else torch.zeros(1, dtype=torch.float64)
            return values.numpy()

        return Cells(
            flat("log_n"), self.weight[k].view(-1).cpu().numpy(), four(flat, "base"), four(flat, "walked"),
            flat("varied"), flat("targets"), flat("polarity"), flat("boost"), flat("rate"), flat("low"), flat("high"),
            flat("w_low"), flat("w_high"),
        )  # fmt: skip
