"""A study file: a file for each of its tables, and what is checked before anything is trained."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
