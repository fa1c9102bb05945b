"""Questions to records that are there already: other ranges, settings, what a change of a factor buys."""
