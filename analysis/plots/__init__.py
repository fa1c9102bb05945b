"""Pictures of a result: one function makes one Vega-Lite specification, and one specification serves the screen,
print, SVG and PNG. Each is named by its file: ``from vcm_sweep.analysis.plots.histogram import histogram``."""
