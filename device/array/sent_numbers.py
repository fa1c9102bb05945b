"""``SentNumbers``: a few numbers that a device has too, sent again only when they change."""

from collections.abc import Sequence

import torch


class SentNumbers:
    """A tensor of the numbers that were asked for last.

    A copy to a GPU costs more than the numbers do: rates and keys are the same for thousands of steps.

    Example:
        >>> rates = SentNumbers(torch.float64)
        >>> rates.on("cpu", (0.1, 0.2)) is rates.on("cpu", (0.1, 0.2))
        True
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._asked: tuple[torch.device | str, tuple[float, ...]] = "cpu", ()
        self._tensor = torch.empty(0, dtype=dtype)

    def __reduce__(self) -> "tuple[type[SentNumbers], tuple[torch.dtype]]":
        """A copy sends anew: what is kept is no state, and torch cannot load a pickled tensor of uint64."""
        return SentNumbers, (self._dtype,)

    def on(self, device: torch.device | str, numbers: Sequence[float]) -> torch.Tensor:
        """The numbers, (n,), on a device; as many others later stand in the same place. The host does not wait."""
        asked = device, tuple(numbers)
        if self._asked != asked:
            same_place = self._asked[0] == device and len(self._asked[1]) == len(numbers)
            self._asked, sent = asked, torch.tensor(asked[1], dtype=self._dtype)
            if same_place:
                self._tensor.copy_(sent, non_blocking=True)
            else:
                self._tensor = sent.to(device, non_blocking=True)
        return self._tensor
