"""aihwkit's compiled engine: whether its tiles work here, and how the rest of aihwkit loads without it.

A wheel of aihwkit holds a compiled module that is built for one Python and one torch. aihwkit's own devices run in it.
VCM cells need aihwkit's pure-torch classes alone; but those load the module too, and so would not load where it is
missing, or where it does not find what it needs in another torch.
"""

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

ENGINE = "aihwkit.simulator.rpu_base"
REMEDY = "install vcm-sweep[aihwkit], which brings the torch that aihwkit's wheel is built for"


def load_without_engine() -> None:
    """From here on, aihwkit's pure-torch classes load although the engine is missing or does not load.

    ``vcm_sweep.device`` calls it when it is imported: import that before aihwkit.
    """
    sys.meta_path.insert(0, _EngineOrStandIn())


@cache
def engine_fault() -> str | None:
    """Why aihwkit's own devices do not work here, in a few words; None if they do.

    A tile of four weights is tried, since an engine that is built for another torch loads, but fails in use, or
    forgets its weights.
    """
    import aihwkit
    import torch
    from aihwkit.simulator.configs import SingleRPUConfig
    from aihwkit.simulator.configs.devices import ConstantStepDevice
    from aihwkit.simulator.tiles.analog import AnalogTile

    # All cells have the same bounds here: randomly drawn bounds would sometimes clip one of these weights.
    device = ConstantStepDevice(w_max_dtod=0.0, w_min_dtod=0.0)
    wanted = torch.tensor([[0.1, -0.2], [0.3, 0.0]])
    try:
        tile = AnalogTile(2, 2, SingleRPUConfig(device=device))
        tile.set_weights(wanted)
        if torch.allclose(tile.get_weights()[0], wanted, atol=1e-3):
            return None
        why = "a tile lost its weights"
    except ImportError as error:
        return str(error)
    except RuntimeError as error:
        why = str(error).splitlines()[0]
    return f"the compiled engine of aihwkit {aihwkit.__version__} does not work with torch {torch.__version__} ({why})"


class _EngineOrStandIn(MetaPathFinder, Loader):
    """Finds the engine's module where Python would, if it loads; otherwise it gives a stand-in."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own specification, or one of the stand-in; None for all other modules."""
        if fullname != ENGINE:
            return None
        own = PathFinder.find_spec(fullname, path, target)
        if own is None or own.origin is None:
            python = ".".join(map(str, sys.version_info[:2]))
            return ModuleSpec(fullname, self, loader_state=f"aihwkit has no compiled engine for Python {python} here")
        import torch  # its libraries must be there before the engine is loaded

        try:
            ctypes.CDLL(own.origin)
        except OSError as error:
            why = f"aihwkit's compiled engine does not load with torch {torch.__version__} ({error})"
            return ModuleSpec(fullname, self, loader_state=why)
        return own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The stand-in."""
        return _StandIn(spec.loader_state)

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing: the stand-in is complete."""


class _StandIn(ModuleType):
    """Lets aihwkit's modules name what the engine holds; whoever calls it gets an ImportError of one line."""

    def __init__(self, why: str) -> None:
        super().__init__(ENGINE)
        self.cuda = SimpleNamespace(is_compiled=lambda: False)
        self.tiles = self.devices = _Names(why)


class _Names:
    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def missing(*_: Any, **__: Any) -> NoReturn:
            raise ImportError(self._why)

        return missing
