"""What the shape of a sample tells of a likely slip: images whose channels come last, or that have none."""

_CHANNELS = (1, 2, 3, 4)


def channels_hint(shape: tuple[int, ...]) -> str:
    """What is likely meant where an image's shape does not suit a convolution, to follow a message; "" if nothing is.

    >>> channels_hint((28, 28, 3))
    '; channels come first in torch: give samples of shape (3, 28, 28), as permute(2, 0, 1) makes them'
    >>> channels_hint((3, 28, 28))
    ''
    """
    if len(shape) == 2 and min(shape) > max(_CHANNELS):
        return f"; an image has an axis of channels: give samples of shape {(1, *shape)}, as x[None] makes them"
    if len(shape) == 3 and shape[2] in _CHANNELS and shape[0] > max(_CHANNELS):
        first = (shape[2], *shape[:2])
        return f"; channels come first in torch: give samples of shape {first}, as permute(2, 0, 1) makes them"
    return ""
