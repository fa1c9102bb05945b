"""torch, imported where it is first used: who only reads a study or its results does without its 500 MB and seconds.

A file whose numbers are tensors takes ``torch`` and ``nn`` from here, and its annotations are not evaluated
(``from __future__ import annotations``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

if TYPE_CHECKING:
    import torch as torch
    from torch import nn as nn
else:

    class _Later:
        """A module that is imported when something of it is asked for."""

        def __init__(self, name: str) -> None:
            self.__name__ = name

        def __getattr__(self, name: str) -> Any:
            value = getattr(import_module(self.__name__), name)
            # Found at once the next time; what is private may be the interpreter's own question.
            if not name.startswith("_"):
                setattr(self, name, value)
            return value

    torch, nn = _Later("torch"), _Later("torch.nn")


def no_grad(function: Callable[P, T]) -> Callable[P, T]:
    """The function as ``torch.no_grad()`` makes it, which as a decorator would import torch with the module."""

    @wraps(function)
    def without(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.no_grad():
            return function(*args, **kwargs)

    return without
