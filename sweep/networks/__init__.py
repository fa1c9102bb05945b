"""Networks: presets, models of one's own, first weights."""
