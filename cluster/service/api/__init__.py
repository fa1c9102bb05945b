"""The service for programs: all that the pages show and do, as JSON."""
