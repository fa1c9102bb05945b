"""One VCM cell and arrays of cells: physics, variability, the analog product and the aihwkit tile."""

import lazy_loader

from vcm_sweep.device.aihwkit_engine import load_without_engine

load_without_engine()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
