"""What the methods share: moments, replicates, resampling, steps of trajectories, slices and series."""
