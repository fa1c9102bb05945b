"""The pulse loops compiled by numba."""
