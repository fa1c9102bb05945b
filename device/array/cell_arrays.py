"""Stacked arrays of cells: fabrication, programming and pulsing."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from vcm_sweep.device.array.kernel_inputs import kernel_physics, kernel_pulses
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.cpu.pulse import step_cells
from vcm_sweep.device.kernels.cpu.reading import read_cells, solve_cells
from vcm_sweep.device.kernels.cpu.update import update_array
from vcm_sweep.device.kernels.layout import (
    DETERMINISTIC_IMPLICIT,
    MEAN_COUNT,
    STOCHASTIC,
    Cells,
    Partner,
    Scratch,
    Train,
)
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.seeds import ArraySeeds, stream_key
from vcm_sweep.device.tables.axes import analytic, is_direct
from vcm_sweep.device.tables.sharing import shared_tables
from vcm_sweep.device.tables.wider_window import beyond_window
from vcm_sweep.device.variability import VARYING, draw_spreads
from vcm_sweep.device.vcm_device import VCMDevice, roles

if TYPE_CHECKING:
    from aihwkit.simulator.parameters.training import UpdateParameters

    from vcm_sweep.device.kernels.gpu.update import StackCells, StackTables

COUNTERS = ("pulses_set", "pulses_reset", "energy_j", "pulses_skipped", "pulses_invalid")

# Streams of an array's fabrication, one per mechanism, so that none moves with another's settings.
_SPREAD, _MISMATCH, _WINDOW, _STUCK, _TELEGRAPH, _FLICKER, _WRITE = range(7)


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
            None if is_direct(device) else shared_tables(device if other is None else beyond_window(device))
            for device, other in zip(self.devices, self._beside, strict=True)
        ]
        self.varied_names = _varied_names(self.devices)
        self._physics = [
            kernel_physics(device, tables, self.varied_names)
            for device, tables in zip(self.devices, self._tables, strict=True)
        ]
        self._pulses = [kernel_pulses(device) for device in self.devices]
        # What the kernels work on, and the learning rates on the device; made when first needed.
        self._views: tuple[int, list[Cells], list[np.ndarray], list[Partner | None]] | None = None
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
        self._seeds, self._index = list(seeds), index
        self.partner = self._draw_partner(seeds, index)
        self.register_buffer("writes", torch.zeros(self.trials, dtype=torch.int64))

        def drawn(stream: int, draw: Callable[[VCMDevice, torch.Generator], torch.Tensor]) -> torch.Tensor:
            return _stack([
                draw(device, torch.Generator().manual_seed(stream_key(seed.device, index, stream)))
                for device, seed in zip(self.devices, seeds, strict=True)
            ])  # fmt: skip

        self._draw_parameters(seeds, index, cells)
        self.register_buffer("boost", drawn(_MISMATCH, lambda d, g: d.variability.mismatch.draw(cells, g)))
        ends = [
            device.variability.window.draw(
                device.periphery.w_min, device.periphery.w_max, cells,
                torch.Generator().manual_seed(stream_key(seed.device, index, _WINDOW)),
            )
            for device, seed in zip(self.devices, seeds, strict=True)
        ]  # fmt: skip
        self.register_buffer("w_low", _stack([low.float() for low, _ in ends]))
        self.register_buffer("w_high", _stack([high.float() for _, high in ends]))
        nothing = torch.zeros(1, dtype=torch.int8)

        def stuck(device: VCMDevice, generator: torch.Generator) -> torch.Tensor:
            mechanism = device.variability.stuck
            return mechanism.draw(cells, generator) if mechanism.active else nothing

        def traps(device: VCMDevice, generator: torch.Generator) -> torch.Tensor:
            mechanism = device.variability.telegraph
            return mechanism.start((cells,), generator) if mechanism.active else nothing

        self.register_buffer("stuck", drawn(_STUCK, stuck))
        self.register_buffer("telegraph", drawn(_TELEGRAPH, traps))
        self.register_buffer("flicker", _stack_padded([
            d.variability.read_noise.start(
                (cells,), torch.Generator().manual_seed(stream_key(seed.device, index, _FLICKER))
            ) if d.variability.read_noise.flicker > 0 else torch.zeros(1, 1)
            for d, seed in zip(self.devices, seeds, strict=True)
        ]))  # fmt: skip
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

    def _draw_parameters(self, seeds: Sequence[ArraySeeds], index: int, cells: int) -> None:
        """Every parameter that spreads: the four that may walk, nu_0 as a factor of the rate, and the others."""
        drawn = [
            draw_spreads(
                device.variability.d2d, device.variability.correlation, device.parameters, cells,
                torch.Generator().manual_seed(stream_key(seed.device, index, _SPREAD)),
                also=() if other is None else other.variability.d2d,
            )
            for device, other, seed in zip(self.devices, self._beside, seeds, strict=True)
        ]  # fmt: skip

        def values(name: str) -> torch.Tensor:
            return _stack([
                own[name].float() if name in own else torch.full((1,), float(getattr(device.parameters, name)))
                for device, own in zip(self.devices, drawn, strict=True)
            ])  # fmt: skip

        for name in VARYING:
            base = values(name)
            walks = any(_moves(device, name) for device in self.devices)
            if walks:
                base = base.expand(-1, cells).contiguous()
            self.register_buffer(f"base_{name}", base)
            self.register_buffer(f"walked_{name}", base.clone() if walks else base)
        others = [values(name) for name in self.varied_names]
        width = cells if others else 1
        stacked = torch.stack([v.expand(-1, width) for v in others], 1) if others else torch.zeros(self.trials, 0, 1)
        self.register_buffer("varied", stacked.contiguous())
        nominal = torch.tensor([[float(device.parameters.nu_0)] for device in self.devices], dtype=torch.float64)
        direct = torch.tensor([[is_direct(device)] for device in self.devices])
        # Where the equations are solved, nu_0 is among the parameters.
        factor = torch.where(direct, 1.0, values("nu_0").double() / nominal)
        self.register_buffer("rate", factor.float().contiguous())

    def _set_window(self) -> None:
        """ln N at which each cell stops; crossed for stuck cells, which are put at their end of the window."""
        cells, stuck = self.out_size * self.in_size, self.stuck.cpu()
        ends = []
        for k, (device, pulses) in enumerate(zip(self.devices, self._pulses, strict=True)):
            low, high = (torch.tensor([end], dtype=torch.float64) for end in device.window)
            per_cell = device.periphery.clamped and (
                device.variability.window.active or (device.reads_cell and self._physics[k].axes.shape[0] > 0)
                or (device.reads_cell and self._physics[k].direct)
            )  # fmt: skip
            if pulses.own_window:
                low, high = torch.tensor([-torch.inf]).double(), torch.tensor([torch.inf]).double()
            elif per_cell:
                low, high = self._solved(k, self.w_low[k]), self._solved(k, self.w_high[k])
                # A cell that its own N_min or N_max stops has no other end: those may walk.
                least, most = self._bounds(k)
                low, high = low.masked_fill(low <= least, -torch.inf), high.masked_fill(high >= most, torch.inf)
            if bool(stuck[k].any()):
                low, high = low.expand(cells).clone(), high.expand(cells).clone()
                low[stuck[k] != 0], high[stuck[k] != 0] = torch.inf, -torch.inf
            ends.append((low, high))
        self.register_buffer("low", _stack([low for low, _ in ends]))
        self.register_buffer("high", _stack([high for _, high in ends]))

    def _solved(self, k: int, weight: torch.Tensor) -> torch.Tensor:
        """ln N at which each cell of trial k reads a weight, (cells,) or (1,), or the end of what it can be."""
        out = np.empty(self.out_size * self.in_size)
        low, high = self._bounds(k)
        solve_cells(
            self._cells(k), self._physics[k], Scratch.new(), weight.cpu().numpy(), low.numpy(), high.numpy(), out
        )
        return torch.from_numpy(out)

    def _bounds(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """ln N_min and ln N_max of trial k's cells, (cells,) or (1,), on the CPU."""
        return (
            torch.log(self.get_buffer("walked_N_min")[k].double()).cpu(),
            torch.log(self.get_buffer("walked_N_max")[k].double()).cpu(),
        )

    def program(self, weight: torch.Tensor, verify: bool = True) -> None:
        """Set the weights, (K, out, in), each clipped to what its cell and the window reach.

        ``verify``: by write-verify, which leaves its error; cells that are stuck stay.
        """
        if self.log_n.is_cuda:
            self._on_host(lambda host: host.program(weight.cpu(), verify))
            return
        cells, *_ = self._bound()
        for k, device in enumerate(self.devices):
            target = weight[k].reshape(-1).float()
            if verify and device.variability.write.sigma > 0:
                key = stream_key(self._seeds[k].device, self._index, _WRITE, int(self.writes[k]))
                error = device.variability.write.draw(target.shape, torch.Generator().manual_seed(key))
                target = target + error * (device.periphery.w_max - device.periphery.w_min)
            if device.periphery.clamped:
                target = torch.minimum(torch.maximum(target, self.w_low[k]), self.w_high[k])
            stuck = self.stuck[k].cpu()
            if bool(stuck.any()):
                target = torch.where(stuck != 0, torch.where(stuck < 0, self.w_low[k], self.w_high[k]), target)
            low, high = self._limits(k, stuck)
            solve_cells(
                cells[k], self._physics[k], Scratch.new(), target.contiguous().numpy(), low.numpy(), high.numpy(),
                self.log_n[k].numpy(),
            )  # fmt: skip
            read_cells(cells[k], self._physics[k], Scratch.new())
        self.writes += verify

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
            low, high = (
                torch.maximum(low, self._solved(k, self.w_low[k])),
                torch.minimum(high, self._solved(k, self.w_high[k])),
            )
        log_n = self.log_n[k].cpu()
        return ((log_n <= low + 1e-3) | (log_n >= high - 1e-3)).double().mean().item()

    def asymmetry(self, k: int, most: int = 1 << 14) -> torch.Tensor:
        """ln(|dw_RESET| / |dw_SET|) of the cells of trial k's fresh array at w = 0, one noise-free pulse each.

        (cells,) float64 on the CPU, of the cells that reach w = 0 and are not stuck; of evenly chosen ``most`` where
        there are more. Under an intervention, the mismatch that the pulses have.
        """
        intervention = self.given[k].intervention
        if self.partner is not None and intervention is not None and not intervention.takes_speed:
            return self.partner.asymmetry(k, most)
        arrays = self._fresh(k)
        total = self.out_size * self.in_size
        chosen = np.arange(0, total, -(-total // most))
        physics, scratch = self._physics[k], Scratch.new()
        low, high = self._bounds(k)
        x = np.empty(total)
        solve_cells(arrays, physics, scratch, np.zeros(1, np.float32), low.numpy(), high.numpy(), x)
        steps = np.empty((3, len(chosen)))
        step_cells(arrays, physics, self._pulses[k], scratch, x, chosen, steps)
        at_zero, up, down = torch.from_numpy(steps)
        stuck = self.stuck[k].cpu().expand(total)
        good = (at_zero.abs() < 1e-3) & (up > at_zero) & (down < at_zero) & (stuck[chosen] == 0)
        return torch.log((at_zero - down)[good] / (up - at_zero)[good])

    def cell_parameters(self, k: int, most: int) -> tuple[CellParameters, int]:
        """Parameters of evenly chosen cells of trial k's fresh array, and how many, on the CPU.

        At most ``most``; one where all cells are equal.
        """
        total = self.out_size * self.in_size
        differ = any(self.get_buffer(f"base_{name}").shape[1] > 1 for name in VARYING) or bool(self.varied_names)
        chosen = torch.arange(0, total, -(-total // most)) if differ else torch.zeros(1, dtype=torch.int64)
        own = {name: self.get_buffer(f"base_{name}")[k] for name in VARYING}
        own |= {name: self.varied[k, row] for row, name in enumerate(self.varied_names)}
        picked = {
            name: values.cpu().double()[chosen] if len(values) > 1 else float(values[0])
            for name, values in own.items()
            if len(values) > 1 or name not in VARYING
        }
        return self.devices[k].parameters.replace_unchecked(**picked), len(chosen)

    def _fresh(self, k: int) -> Cells:
        cells = self._cells(k)
        return cells._replace(walked=cells.base)

    def resume(self, seeds: Sequence[ArraySeeds], index: int) -> None:
        """Take the streams of arrays whose buffers have been copied here: what is drawn later comes from those."""
        self._seeds, self._index = list(seeds), index

    def state(self, k: int) -> dict[str, torch.Tensor]:
        """All that pulses and reads change in trial k's array, on the CPU; the rest follows from its seed."""
        state = {"log_n": self.log_n[k], "weight": self.weight[k], "counters": self.counters[k]}
        variability = self.devices[k].variability
        for name in VARYING:
            if _moves(self.devices[k], name):
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
            moving = [name for name in VARYING if _moves(self.partner.devices[k], name)]
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
        update: "UpdateParameters",
        keys: Sequence[int],
    ) -> None:
        """Fire the pulses of a batch. x: (K, batch, in), d: (K, batch, out) float32; one key per trial.

        A trial whose learning rate is 0 is not touched; a sample with a value that is not finite fires nothing.

        Raises:
            DeviceError: a rate outside the model (|gamma| >= 1) in a trial whose device says on_invalid = "error".
        """
        if self.log_n.is_cuda:
            self.pulse_on_device(x, d, learning_rates, update, keys)
            return
        x_host, d_host = x.detach().contiguous().numpy(), d.detach().contiguous().numpy()
        cells, counters, partners = self._bound()
        for k, device in enumerate(self.devices):
            if learning_rates[k] == 0:
                continue
            update_array(
                x_host[k], d_host[k], np.uint64(keys[k]), cells[k], self._physics[k],
                pulse_train(device, learning_rates[k], update), self._pulses[k], counters[k],
                partners[k],
            )  # fmt: skip
            if counters[k][-1] and device.on_invalid == "error":
                raise DeviceError(
                    f"{int(counters[k][-1])} pulses met a rate outside the model (|gamma| >= 1: the field is beyond "
                    "hopping): lower |set_voltage_v| and |reset_voltage_v| or narrow the spreads"
                )

    def pulse_on_device(
        self,
        x: torch.Tensor,
        d: torch.Tensor,
        learning_rates: Sequence[float],
        update: "UpdateParameters",
        keys: Sequence[int],
    ) -> None:
        """:meth:`pulse` by the kernels of a GPU, which the host does not wait for; x and d are there already.

        Raises:
            DeviceError: a trial whose pulses a GPU cannot compute, see :func:`check_gpu`.
        """
        from vcm_sweep.device.array.gpu_support import check_gpu
        from vcm_sweep.device.kernels.gpu.update import StackCells, StackTables, update_stack

        device = self.log_n.device
        if self._on_device is None:
            for own in self.given:
                check_gpu(own)
            cells = StackCells(
                self.log_n, self.weight, self._four("base"), self._four("walked"), self.varied, self.boost, self.rate,
                self.low, self.high,
            )  # fmt: skip
            granularities = [own.dw_min for own in self.devices]
            self._on_device = cells, StackTables.build(self._physics, self._pulses, granularities, device)
        rates = tuple(float(rate) for rate in learning_rates)
        if self._rates is None or self._rates[0] != rates or self._rates[1].device != device:
            self._rates = rates, torch.tensor(rates, dtype=torch.float64, device=device)
        signed = torch.from_numpy(np.array(keys, np.uint64).view(np.int64)).to(device, non_blocking=True)
        cells, tables = self._on_device
        train = pulse_train(self.devices[0], 0.0, update)
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

    def _on_host(self, work: "Callable[[CellArrays], None]") -> None:
        """Do something rare that only the CPU's kernels can, and come back."""
        device = self.log_n.device
        self.cpu()
        work(self)
        self.to(device)

    def _four(self, kind: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        n_max, n_min, r, length = (self.get_buffer(f"{kind}_{name}") for name in VARYING)
        return n_max, n_min, r, length

    def shift(self, change: torch.Tensor) -> None:
        """Add ``change``, (K, out, in), to the weights without pulses; each cell keeps what it reaches.

        What is not finite adds nothing.
        """
        self.program(self.weight + torch.nan_to_num(change, 0.0, 0.0, 0.0), verify=False)

    def _bound(self) -> tuple[list[Cells], list[np.ndarray], list[Partner | None]]:
        """What the kernel reads and writes: views of the buffers, made anew when those have moved."""
        where = self.log_n.data_ptr()
        if self._views is None or self._views[0] != where:
            arrays = [self._cells(k) for k in range(self.trials)]
            counters = [self.counters[k].numpy() for k in range(self.trials)]
            self._views = (where, arrays, counters, [self._partner(k) for k in range(self.trials)])
        return self._views[1:]

    def _partner(self, k: int) -> Partner | None:
        """What the kernel is given of trial k's other cells."""
        intervention, other = self.given[k].intervention, self.partner
        if intervention is None or other is None:
            return None
        return Partner(other._cells(k), other._physics[k], other._pulses[k], Scratch.new(), intervention.takes_speed)

    def _cells(self, k: int) -> Cells:
        def four(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            n_max, n_min, r, length = (values[k].cpu().numpy() for values in self._four(kind))
            return n_max, n_min, r, length

        def flat(name: str) -> np.ndarray:
            # The window is made with the help of the cells, and is not there before.
            values = self.get_buffer(name)[k].cpu() if hasattr(self, name) else torch.zeros(1, dtype=torch.float64)
            return values.numpy()

        return Cells(
            flat("log_n"), self.weight[k].view(-1).cpu().numpy(), four("base"), four("walked"), flat("varied"),
            flat("targets"), flat("polarity"), flat("boost"), flat("rate"), flat("low"), flat("high"), flat("w_low"),
            flat("w_high"),
        )  # fmt: skip


_KINDS = {"DETERMINISTIC_IMPLICIT": DETERMINISTIC_IMPLICIT, "MEAN_COUNT": MEAN_COUNT}


def pulse_train(device: VCMDevice, learning_rate: float, update: "UpdateParameters") -> Train:
    kind = _KINDS.get(update.pulse_type.name, STOCHASTIC)
    implicit = kind == DETERMINISTIC_IMPLICIT
    return Train(
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


def _moves(device: VCMDevice, name: str) -> bool:
    """Whether pulses change a parameter."""
    walk, target = device.variability.c2c.get(name), device.variability.targets.get(name)
    return (walk is not None and walk.active) or (target is not None and target.active)


def _varied_names(devices: Sequence[VCMDevice]) -> tuple[str, ...]:
    """Parameters that spread in any trial, besides those that may walk and (in tables) those without an axis."""
    names: list[str] = []
    for device in devices:
        left_out = VARYING if is_direct(device) else {*VARYING, *analytic(device.model)}
        for name, spread in device.variability.d2d.items():
            if spread.sigma > 0 and name not in left_out and name not in names:
                names.append(name)
    return tuple(sorted(names))


def _stack(drawn: list[torch.Tensor]) -> torch.Tensor:
    width = max(len(values) for values in drawn)
    return torch.stack([values.expand(width) for values in drawn]).contiguous()


def _stack_padded(drawn: list[torch.Tensor]) -> torch.Tensor:
    """(K, rows, width) of tensors that have fewer rows or hold for every cell; missing rows are 0."""
    rows, width = max(len(v) for v in drawn), max(v.shape[1] for v in drawn)
    out = torch.zeros(len(drawn), rows, width)
    for k, values in enumerate(drawn):
        out[k, : len(values)] = values
    return out
