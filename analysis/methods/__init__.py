"""Methods of sensitivity analysis, a file each."""
