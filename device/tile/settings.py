"""The fields of VCMRPUConfig, and the checks that aihwkit's settings are among those that the tiles support."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isinf

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    PulseType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.custom import CustomRPUConfig

from vcm_sweep.device.seeds import NetworkSeeds
from vcm_sweep.device.vcm_device import VCMDevice


@dataclass
class VCMSettings(CustomRPUConfig):
    """The fields of :class:`vcm_sweep.device.VCMRPUConfig`, which adds the classes of the tiles and describes them."""

    forward: IOParameters | Sequence[IOParameters] = field(default_factory=IOParameters)
    backward: IOParameters | Sequence[IOParameters] = field(default_factory=IOParameters)
    mapping: MappingParameter = field(default_factory=lambda: MappingParameter(max_input_size=0, max_output_size=0))
    update: UpdateParameters | Sequence[UpdateParameters] = field(default_factory=UpdateParameters)
    device: VCMDevice | Sequence[VCMDevice] = field(default_factory=VCMDevice)
    trials: int | None = None
    seeds: NetworkSeeds | None = None

    def check(self) -> None:
        """Raise aihwkit's ConfigError for settings that VCM tiles do not support; every new tile calls this."""
        for where in ("forward", "backward"):
            self._check_direction(where)
        if self.trials is not None and (not isinstance(self.trials, int) or self.trials < 1):
            raise ConfigError(f"trials = {self.trials!r} must be None or a whole number, at least 1")
        if not isinstance(self.device, VCMDevice) and len(self.device) != (self.trials or 1):
            raise ConfigError(
                f"device has {len(self.device)} entries for {self.trials or 1} trials: give one, or one per trial"
            )
        if self.seeds is not None and len(self.seeds.trials) != (self.trials or 1):
            raise ConfigError(
                f"seeds has {len(self.seeds.trials)} entries for {self.trials or 1} trials: give one per trial"
            )
        if self.trials is not None and (self.mapping.weight_scaling_omega > 0 or self.mapping.learn_out_scaling):
            raise ConfigError(
                "mapping.weight_scaling_omega and learn_out_scaling are not supported with stacked trials: "
                "leave 0.0 and False"
            )
        if self.trials is not None and self.pre_post.input_range.enable:
            raise ConfigError(
                "pre_post.input_range.enable = True is not supported with stacked trials, which would share one range: "
                "leave False"
            )
        updates = self.updates()
        if len(updates) != (self.trials or 1):
            raise ConfigError(
                f"update has {len(updates)} entries for {self.trials or 1} trials: give one, or one per trial"
            )
        for update in updates:
            _check_update(update)
            if replace(update, desired_bl=updates[0].desired_bl) != updates[0]:
                raise ConfigError("updates of stacked trials may differ in desired_bl alone: stack the others apart")

    def _check_direction(self, where: str) -> None:
        """Raise ConfigError for settings of one direction; of stacked trials those that are no numbers must agree."""
        given = getattr(self, where)
        ios = [given] if isinstance(given, IOParameters) else list(given)
        if not isinstance(given, IOParameters) and len(ios) != (self.trials or 1):
            raise ConfigError(
                f"{where} has {len(ios)} entries for {self.trials or 1} trials: give one, or one per trial"
            )
        for io in ios:
            check_io(io, where)
        for name in IO_WORDS:
            if len(values := {getattr(io, name) for io in ios}) > 1:
                raise ConfigError(
                    f"{where}.{name} differs between stacked trials ({', '.join(sorted(map(str, values)))}): give all "
                    "the same, since only numbers may differ"
                )

    def devices(self) -> tuple[VCMDevice, ...]:
        """One device per trial."""
        if isinstance(self.device, VCMDevice):
            return (self.device,) * (self.trials or 1)
        return tuple(self.device)

    def updates(self) -> tuple[UpdateParameters, ...]:
        """Settings of the pulse trains, one per trial."""
        return tuple(self.update) if isinstance(self.update, Sequence) else (self.update,) * (self.trials or 1)


_ALLOWED = {
    "mv_type": (
        AnalogMVType.ONE_PASS,
        AnalogMVType.IDEAL,
        AnalogMVType.POS_NEG_SEPARATE,
        AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM,
    ),
    "bound_management": (
        BoundManagementType.NONE,
        BoundManagementType.ITERATIVE,
        BoundManagementType.ITERATIVE_WORST_CASE,
    ),
    "noise_management": (
        NoiseManagementType.NONE,
        NoiseManagementType.ABS_MAX,
        NoiseManagementType.ABS_MAX_NP_SUM,
        NoiseManagementType.MAX,
        NoiseManagementType.CONSTANT,
    ),
    "w_noise_type": (WeightNoiseType.NONE, WeightNoiseType.ADDITIVE_CONSTANT, WeightNoiseType.PCM_READ),
}


IO_WORDS = (*_ALLOWED, "is_perfect", "inp_sto_round", "out_sto_round", "bm_test_negative_bound")
"""The fields of aihwkit's IOParameters that all trials of a stack must share: those that are no numbers."""

_UNSUPPORTED = (
    "out_noise_std", "ir_drop", "out_nonlinearity", "out_nonlinearity_std", "slope_calibration", "v_offset_std",
    "r_series", "w_read_asymmetry_dtod",
)  # fmt: skip


def check_io(io: IOParameters, where: str) -> None:
    """Raise aihwkit's ConfigError for settings that the analog product lacks; ``where`` is the start of the message."""
    for name, allowed in _ALLOWED.items():
        value = getattr(io, name)
        if value not in allowed:
            names = ", ".join(member.name for member in allowed)
            raise ConfigError(f"{where}.{name} = {value} is not supported: choose one of {names}")
    for name in _UNSUPPORTED:
        if getattr(io, name) != 0.0:
            raise ConfigError(f"{where}.{name} = {getattr(io, name)!r} is not supported: leave 0")
    for name in ("inp_bound", "out_bound"):
        if not getattr(io, name) > 0:
            raise ConfigError(f"{where}.{name} = {getattr(io, name)!r} must be above 0")
    if io.noise_management != NoiseManagementType.NONE and io.inp_bound != 1.0:
        raise ConfigError(
            f"{where}.inp_bound = {io.inp_bound!r} must be 1 with noise management: it scales inputs to 1"
        )
    for side in ("inp", "out"):
        if isinf(getattr(io, f"{side}_bound")) and getattr(io, f"{side}_res") > 0:
            raise ConfigError(
                f"{where}.{side}_bound = inf gives a converter no finite step: choose {side}_res = -1, which is no "
                "converter, or a finite bound"
            )


_PULSE_TYPES = (
    PulseType.STOCHASTIC_COMPRESSED, PulseType.STOCHASTIC, PulseType.DETERMINISTIC_IMPLICIT, PulseType.MEAN_COUNT,
    PulseType.NONE, PulseType.NONE_WITH_DEVICE,
)  # fmt: skip


def _check_update(update: UpdateParameters) -> None:
    if not isinstance(update, UpdateParameters) or update.pulse_type not in _PULSE_TYPES:
        raise ConfigError(f"update.pulse_type must be one of {', '.join(kind.name for kind in _PULSE_TYPES)}")
    # The slots of a stochastic train are the bits of a 64-bit word.
    longest = 64 if update.pulse_type in _PULSE_TYPES[:2] else 1_000_000
    if not 1 <= update.desired_bl <= longest:
        raise ConfigError(f"update.desired_bl = {update.desired_bl} must be from 1 to {longest}")
    for name in ("res", "x_res_implicit", "d_res_implicit"):
        if getattr(update, name) > 1:
            raise ConfigError(f"update.{name} = {getattr(update, name)!r} must be at most 1 (0 or less is off)")
    default = UpdateParameters()
    for name in ("sto_round", "um_grad_scale", "d_sparsity"):
        if getattr(update, name) != getattr(default, name):
            raise ConfigError(
                f"update.{name} = {getattr(update, name)!r} is not supported: leave {getattr(default, name)!r}"
            )
    if longest == 64 and not update.fixed_bl and not update.update_bl_management:
        raise ConfigError("update.fixed_bl = False needs update_bl_management = True: trains would be unbounded")
