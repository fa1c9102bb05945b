"""The decorator ``public``, which makes a class pickle under the package's name instead of its file's."""

from typing import TypeVar

T = TypeVar("T", bound=type)


def public(cls: T) -> T:
    """The same class, with ``__module__`` set so that its full name is ``vcm_sweep.device.<its name>``.

    A layer saved with torch.save names the classes of its configuration. With these names it can still be read after
    the classes have moved to other files.

    >>> from vcm_sweep.device import VCMDevice
    >>> VCMDevice.__module__
    'vcm_sweep.device'
    """
    cls.__module__ = "vcm_sweep.device"
    return cls
