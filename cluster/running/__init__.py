"""Running and planning a study for the commands of the command line."""
