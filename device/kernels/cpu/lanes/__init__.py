"""Compiled: many cells at a time, one in each lane of a vector."""
