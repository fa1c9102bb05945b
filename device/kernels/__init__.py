"""Compiled loops: what they are given, for processors and for GPUs."""
