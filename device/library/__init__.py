"""Cells with a name: the library's, and files of one's own."""
