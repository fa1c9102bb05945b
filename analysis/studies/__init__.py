"""Questions to whole studies: analyse, compare, is it enough, how much more."""
