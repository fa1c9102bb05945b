"""Running, planning, extending and reusing studies."""
