"""What an analysis gives: indices with intervals, whether they are enough, failures, luck."""
