"""Questions to whole studies: analyse one, compare two, see whether indices settled, and run until they are known."""
