"""Stacked arrays of cells: making, programming, pulsing and reading them."""
