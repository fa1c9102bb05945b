"""Running and planning a study for a command."""
