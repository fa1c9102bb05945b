"""Pictures of a result: each file has one function that makes a Vega-Lite specification, for screen, print, SVG and
PNG.

A function is named like its file: ``from vcm_sweep.analysis.plots.histogram import histogram``.
"""
