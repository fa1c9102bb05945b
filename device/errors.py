"""The root of the error tree, and the device's own branch of it."""

from vcm_sweep.device.public import public


@public
class VcmSweepError(Exception):
    """Any failure that a user can act on: one line naming field, value, allowed range and fix.

    ``exit_code`` is what the command line ends with. The classes take one string, so that they pickle.
    """

    exit_code = 1


@public
class DeviceError(VcmSweepError):
    """A cell, its parameters or an integration is outside what the model can answer."""

    exit_code = 2
