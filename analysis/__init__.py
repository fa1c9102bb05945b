"""From stored records to conclusions: indices with intervals, effect curves, pictures, the report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
