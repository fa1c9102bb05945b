"""Kernels that are timed at each launch."""

from collections.abc import Callable
from typing import Any

from gpu_sections.places import Gpu, median


class Watched:
    """A kernel that notes when each of its launches begins and ends, and the arguments of the last one."""

    def __init__(self, kernel: Any, where: Gpu) -> None:
        self.kernel, self.where = kernel, where
        self.spans: list[tuple[Any, Any]] = []
        self.arguments: dict[str, Any] = {}

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        launch = self.kernel[grid]

        def watched(*arguments: Any, **options: Any) -> None:
            self.where.hold(0.2)
            before = self.where.mark()
            launch(*arguments, **options)
            self.spans.append((before, self.where.mark()))
            self.arguments = dict(zip(self.kernel.arg_names, arguments, strict=False))

        return watched

    def median_ms(self) -> float:
        """Of all launches but the first, which may compile."""
        return median([self.where.between(*span) for span in self.spans[1:]])
