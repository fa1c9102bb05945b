"""How an aihwkit user asks for VCM cells: ``VCMRPUConfig``."""

from dataclasses import dataclass

from vcm_sweep.device.public import public
from vcm_sweep.device.tile.settings import VCMSettings
from vcm_sweep.device.tile.simulator_tile import VCMSimulatorTile
from vcm_sweep.device.tile.tile_array import VCMTileArray
from vcm_sweep.device.tile.vcm_tile import VCMTile


@public
@dataclass
class VCMRPUConfig(VCMSettings):
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
