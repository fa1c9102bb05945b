"""What each factor costs at the ends of its range, and how much of that goes through mismatch and speed."""
