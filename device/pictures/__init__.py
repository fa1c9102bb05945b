"""Pictures of a cell and of its fit."""
