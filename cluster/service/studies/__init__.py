"""The studies of a service: the list, one of them, and what changes them."""
