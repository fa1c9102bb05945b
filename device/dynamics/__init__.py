"""One cell over time: integration of its state, waveforms, responses."""
