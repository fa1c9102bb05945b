"""Which points of the ranges are trained: a file for each design."""
