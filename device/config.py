"""How an aihwkit user asks for VCM cells: ``VCMRPUConfig``."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.custom import CustomRPUConfig

from .mvm import check_io
from .public import public
from .seeds import NetworkSeeds
from .tile import VCMSimulatorTile, VCMTile, VCMTileArray
from .vcm_device import VCMDevice


@public
@dataclass
class VCMRPUConfig(CustomRPUConfig):
    """Configuration of aihwkit layers whose every weight is a VCM cell.

    Use it as any aihwkit configuration. With ``trials=K`` a layer holds K independent arrays: weights are
    (K, out, in), the digital bias (K, out), and inputs and outputs (K, batch, features) or, as convolutions want it,
    (K * batch, ...), trial after trial. A pulse type of NONE or NONE_WITH_DEVICE adds the step in floating point and
    keeps what each cell reaches.

    Attributes:
        device: one for all trials, or a sequence with one per trial.
        trials: None for a plain layer, else the number of stacked trials, at least 1.
        update: aihwkit's; any pulse type, trains of at most 64 slots where they are stochastic.
        seeds: of the arrays of one network, whose tiles are made in its order; None: from torch's global generator.

    Example:
        >>> import torch
        >>> from aihwkit.nn import AnalogLinear
        >>> layer = AnalogLinear(8, 3, rpu_config=VCMRPUConfig())
        >>> layer(torch.zeros(5, 8)).shape
        torch.Size([5, 3])
        >>> stacked = AnalogLinear(8, 3, rpu_config=VCMRPUConfig(trials=4))
        >>> stacked(torch.zeros(4, 5, 8)).shape
        torch.Size([4, 5, 3])
    """

    tile_class: type = VCMTile
    simulator_tile_class: type = VCMSimulatorTile
    tile_array_class: type = VCMTileArray
    mapping: MappingParameter = field(default_factory=lambda: MappingParameter(max_input_size=0, max_output_size=0))
    update: UpdateParameters = field(default_factory=UpdateParameters)
    device: VCMDevice | Sequence[VCMDevice] = field(default_factory=VCMDevice)
    trials: int | None = None
    seeds: NetworkSeeds | None = None

    def check(self) -> None:
        """Raise aihwkit's ConfigError for what this device does not support; called by every tile."""
        check_io(self.forward, "forward")
        check_io(self.backward, "backward")
        if self.trials is not None and (not isinstance(self.trials, int) or self.trials < 1):
            raise ConfigError(f"trials = {self.trials!r} must be None or at least 1")
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
        _check_update(self.update)

    def devices(self) -> tuple[VCMDevice, ...]:
        """One device per trial."""
        if isinstance(self.device, VCMDevice):
            return (self.device,) * (self.trials or 1)
        return tuple(self.device)


_PULSE_TYPES = (
    PulseType.STOCHASTIC_COMPRESSED, PulseType.STOCHASTIC, PulseType.DETERMINISTIC_IMPLICIT, PulseType.MEAN_COUNT,
    PulseType.NONE, PulseType.NONE_WITH_DEVICE,
)  # fmt: skip


def _check_update(update: UpdateParameters) -> None:
    if not isinstance(update, UpdateParameters) or update.pulse_type not in _PULSE_TYPES:
        raise ConfigError(f"update.pulse_type must be one of {', '.join(kind.name for kind in _PULSE_TYPES)}")
    # The slots of a stochastic train are the bits of one word.
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
