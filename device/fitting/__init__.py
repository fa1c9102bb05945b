"""A cell's parameters from a measurement."""
