"""``Count``: how often something was done, on the host and on a GPU."""

import torch


class Count:
    """A number that the host counts, and a GPU too once its kernels have asked for it.

    Kernels read it where they are, so that a step of a training that is replayed, without the host, counts on.

    Attributes:
        number: as the host knows it; may be set.

    Example:
        >>> count = Count(7)
        >>> there = count.on(torch.device("cpu"))
        >>> count.add()
        >>> count.number, int(there)
        (8, 8)
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self._there: torch.Tensor | None = None
        self._known = number  # what stands there, or will when the device has done what it was given

    def on(self, device: torch.device) -> torch.Tensor:
        """The number on a device, (1,) int64, always in the same place there; the host waits for nothing."""
        if self._there is None or self._there.device != device:
            self._there = torch.full((1,), self.number, dtype=torch.int64, device=device)
        elif self._known != self.number:
            self._there.fill_(self.number)
        self._known = self.number
        return self._there

    @property
    def agrees(self) -> bool:
        """Whether a device that has the number has the one of the host."""
        return self._there is None or self._known == self.number

    def add(self) -> None:
        """Count one more, on the device after all that it has been given so far."""
        self.number += 1
        if self._there is not None:
            self._there.add_(1)
            self._known += 1

    def counted_there(self, times: int) -> None:
        """The device has counted by itself: it replayed what included :meth:`add`."""
        self.number += times
        self._known += times
