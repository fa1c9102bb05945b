"""``VCMRPUConfig``: the configuration with which an aihwkit layer gets VCM cells."""

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

    Use it like any aihwkit configuration. With ``trials=K`` a layer holds K independent arrays: weights are
    (K, out, in), the digital bias is (K, out), and inputs and outputs are (K, batch, features) or, for convolutions,
    (K * batch, ...), one trial after the other. With the pulse types NONE and NONE_WITH_DEVICE the step is added in
    floating point, and each weight is then cut to what its cell can reach.

    Attributes:
        device: one device for all trials, or a sequence with one per trial.
        trials: None for a plain layer, else the number of stacked trials, at least 1.
        forward, backward: aihwkit's settings of reading, the same for all trials, or a sequence with one per trial,
            whose numbers may differ.
        update: aihwkit's settings; any pulse type, with stochastic trains of at most 64 slots. One for all trials, or a
            sequence with one per trial, which differ in desired_bl alone.
        seeds: the seeds of a network's arrays, whose tiles must be made in the network's order; None: seeds are drawn
            from torch's global generator.

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
