"""The tables of a study file, a file for each: fields with their types, ranges and defaults."""
