"""The pulse loops compiled by Triton."""
