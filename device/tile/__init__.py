"""What aihwkit sees: the configuration, the tiles, the analog product, the optimizer."""
