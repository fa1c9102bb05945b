"""The name under which a public class is pickled: that of the package, wherever the class's own file stands."""


def public[T: type](cls: T) -> T:
    """The class, known as ``vcm_sweep.device.<its name>``.

    A layer's saved state names the classes of its configuration. By their public names it can be read whatever files
    the package is made of later.

    >>> from vcm_sweep.device import VCMDevice
    >>> VCMDevice.__module__
    'vcm_sweep.device'
    """
    cls.__module__ = "vcm_sweep.device"
    return cls
