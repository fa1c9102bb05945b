"""How trials are packed, ordered, priced and recovered."""
