"""What named conditions cost against their baseline, and whether they agree with what was published of them."""
