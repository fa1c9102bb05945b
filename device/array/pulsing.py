"""Pulses of a batch on stacked arrays: by the compiled loop on a CPU, by the kernels on a GPU."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import torch

from vcm_sweep.device.array.count import Count
from vcm_sweep.device.array.sent_numbers import SentNumbers
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.cpu.update import update_array
from vcm_sweep.device.kernels.layout import (
    DETERMINISTIC_IMPLICIT,
    MEAN_COUNT,
    STOCHASTIC,
    Cells,
    Partner,
    Physics,
    Pulses,
    Train,
)
from vcm_sweep.device.seeds import key_of_more
from vcm_sweep.device.variability import VARYING
from vcm_sweep.device.vcm_device import VCMDevice

if TYPE_CHECKING:
    from aihwkit.simulator.parameters.training import UpdateParameters

T = TypeVar("T")

_KINDS = {"DETERMINISTIC_IMPLICIT": DETERMINISTIC_IMPLICIT, "MEAN_COUNT": MEAN_COUNT}


class Batch(NamedTuple):
    """What fires pulses at stacked arrays.

    Attributes:
        x, d: (K, batch, in) inputs and (K, batch, out) gradients, float32.
        learning_rates: one per trial.
        updates: settings of the pulse trains, one per trial; they differ in desired_bl alone.
        streams: keys of the random streams, one per trial.
        call: number of this call, by which it draws other numbers than every other call.
    """

    x: torch.Tensor
    d: torch.Tensor
    learning_rates: Sequence[float]
    updates: "Sequence[UpdateParameters]"
    streams: Sequence[int]
    call: Count


class HostViews(NamedTuple):
    """What the compiled loop reads and writes, per trial: views of the arrays' buffers."""

    cells: list[Cells]
    counters: list[np.ndarray]
    partners: list[Partner | None]


def pulse_on_host(
    batch: Batch, devices: Sequence[VCMDevice], physics: Sequence[Physics], pulses: Sequence[Pulses], views: HostViews
) -> None:
    """Fire a batch's pulses at every trial's array; a trial whose learning rate is 0 is not touched.

    Raises:
        DeviceError: a rate outside the model (|gamma| >= 1) in a trial whose device says on_invalid = "error".
    """
    x_host, d_host = batch.x.detach().contiguous().numpy(), batch.d.detach().contiguous().numpy()
    cells, counters, partners = views
    for k, device in enumerate(devices):
        if batch.learning_rates[k] == 0:
            continue
        update_array(
            x_host[k], d_host[k], np.uint64(key_of_more(batch.streams[k], batch.call.number)), cells[k], physics[k],
            pulse_train(device, batch.learning_rates[k], batch.updates[k]), pulses[k], counters[k], partners[k],
        )  # fmt: skip
        refuse_invalid(device, counters[k][-1])


def refuse_invalid(device: VCMDevice, pulses: float) -> None:
    """Raise DeviceError if pulses were outside the model, and the device takes that for an error."""
    if pulses and device.on_invalid == "error":
        raise DeviceError(
            f"{int(pulses)} pulses met a rate outside the model (|gamma| >= 1: the field is beyond hopping): lower "
            "|set_voltage_v| and |reset_voltage_v| or narrow the spreads"
        )


def has_kernels() -> bool:
    """Whether a GPU has Triton, which compiles its kernels. It takes long to import: a CPU does without it."""
    from vcm_sweep.device.kernels.gpu.triton_or_none import PRESENT

    return PRESENT


class GpuArrays:
    """Stacked arrays as the kernels of a GPU see them.

    Making them sends the tables, for which the host waits. After that it sends only learning rates and the lengths of
    trains, when they change, and waits for nothing.
    """

    def __init__(
        self,
        devices: Sequence[VCMDevice],
        physics: Sequence[Physics],
        pulses: Sequence[Pulses],
        buffer: Callable[[str], torch.Tensor],
    ) -> None:
        """``devices``: of the cells that act; ``physics``: theirs; ``buffer``: by its name."""
        from vcm_sweep.device.kernels.gpu.stack import StackCells, StackEquations, StackTables

        self._cells = StackCells(
            buffer("log_n"), buffer("weight"), four(buffer, "base"), four(buffer, "walked"), buffer("varied"),
            buffer("boost"), buffer("rate"), buffer("low"), buffer("high"), buffer("w_low"), buffer("w_high"),
            buffer("targets"), buffer("polarity"),
        )  # fmt: skip
        self._counters = buffer("counters")
        granularities = [device.dw_min for device in devices]
        self._tables = StackTables.build(physics, pulses, granularities, self._counters.device)
        self._equations = StackEquations.build(physics, pulses, self._counters.device)
        self._device = devices[0]
        self._rates, self._streams, self._lengths = map(SentNumbers, (torch.float64, torch.uint64, torch.int64))

    def fire(self, batch: Batch) -> None:
        """Fire a batch's pulses, which the host does not wait for; x and d are there already."""
        from vcm_sweep.device.kernels.gpu.update import Keys, update_stack

        device = self._counters.device
        keys = Keys(self._streams.on(device, batch.streams), batch.call.on(device))
        rates = self._rates.on(device, batch.learning_rates)
        lengths = [update.desired_bl for update in batch.updates]
        longest = batch.updates[lengths.index(max(lengths))]
        train, sent = pulse_train(self._device, 0.0, longest), self._lengths.on(device, lengths)
        update_stack(
            batch.x, batch.d, keys, rates, sent, train, self._cells, self._tables, self._equations, self._counters
        )


def four(buffer: Callable[[str], T], kind: str) -> tuple[T, T, T, T]:
    """The buffers ``base_*`` or ``walked_*`` of the four parameters that may walk."""
    n_max, n_min, r, length = (buffer(f"{kind}_{name}") for name in VARYING)
    return n_max, n_min, r, length


def pulse_train(device: VCMDevice, learning_rate: float, update: "UpdateParameters") -> Train:
    """How the gradients of a batch become pulses."""
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
