"""Functions fitted to records whose parts by factor are known in closed form, and where they are wrong."""
