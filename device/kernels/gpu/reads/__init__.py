"""How stacked arrays are read on a GPU."""
