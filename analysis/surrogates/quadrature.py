"""Nodes at which functions of one factor are known well enough to integrate products of any two of them."""

import numpy as np

# Cells as wide as the waves of a polynomial of high degree, which are short at the ends. On five nodes a cell,
# products of two polynomials of degree 24 are exact to 1e-8, and functions that are constant between cuts are exact.
_CELLS, _PER_CELL = 40, 5

CUTS = (1.0 - np.cos(np.pi * np.arange(1, _CELLS) / _CELLS)) / 2.0
"""(39,) Where a function may have a step."""

_edges = np.concatenate([[0.0], CUTS, [1.0]])
_nodes, _weights = np.polynomial.legendre.leggauss(_PER_CELL)
_width = np.diff(_edges)[:, None]

NODES = (_edges[:-1, None] + _width * (_nodes + 1.0) / 2.0).ravel()
"""(Q,) in [0, 1]."""
WEIGHTS = (_width * _weights / 2.0).ravel()
"""(Q,) They sum to 1."""
