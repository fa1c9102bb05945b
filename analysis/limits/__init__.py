"""What each factor costs at the ends of its range, and how much of it goes through what."""
