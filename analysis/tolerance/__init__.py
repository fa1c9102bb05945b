"""How much of each nonideality can be tolerated: searches with Optuna, answers confirmed with fresh seeds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
