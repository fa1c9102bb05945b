"""Small studies that several files of tests train, or only read."""

TINY = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 4
"""
"""The least that is a study: 16 points of two factors. A training takes a twentieth of a second."""

THREE_EPOCHS = """
[study]
name = "tiny"
[network]
data = "digits"
hidden = [16]
epochs = 3
batch = 32
lr = 0.02
train_samples = 300
test_samples = 100
[device]
dw_min = 4e-4
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
method = "sobol"
n = 4
"""
"""Trainings of three epochs of ten batches each, to be stopped in between; every pulse draws a new radius."""
