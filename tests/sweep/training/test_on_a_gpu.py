"""What a stack on a GPU asks of its host, shown on a GPU that is not there."""

from unittest import mock

import pytest

from vcm_sweep.device import seeds
from vcm_sweep.sweep import Study, build_design
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.training.stacked_training import StackedTraining

from ...fake_gpu import KERNELS, PRODUCT, FakeGpu

TEXT = """
[study]
name = "tiny"
[network]
hidden = [8, 6]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
train_samples = 64
test_samples = 40
[device]
model = "explicit"
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""
LAYERS = 3
pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")


def training(trials: int) -> StackedTraining:
    chosen = list(build_design(Study.from_text(TEXT)).trials(range(trials)))
    return StackedTraining(chosen, chosen[0].inputs["network"], load("digits").first(64, 40), "cuda")


def test_what_the_host_copies_and_waits_for():
    with FakeGpu().present() as gpu:
        run = training(3)
        run.stack.train(True)
        gpu.asked.clear()
        order, rates = run.next_order(), run.rates()
        assert gpu.asked == {"sweep.training.stacked_training.next_order copies to cuda and waits": 1}

        gpu.asked.clear()
        run.step(order[:, :32], rates)
        # The first layer has no way back: its inputs are the images.
        passes = 2 * LAYERS - 1
        assert gpu.asked == {
            # The tables and the equations.
            "device.kernels.gpu.stack.build copies to cuda and waits": 8 * LAYERS,
            # The settings of the converters, and what the read noise is relative to.
            "device.tile.io_numbers.table copies to cuda": passes,
            "device.tile.simulator_tile._read_noise_numbers copies to cuda": LAYERS,
            # Rates, keys and lengths of trains of the cells, rates of the biases; keys of the reads.
            "device.array.sent_numbers.on copies to cuda": 4 * LAYERS + passes,
        }
        # All of these cells differ, so none read tables.
        pulsing = {name: LAYERS for name in KERNELS if name != "pulse_cells"}
        assert gpu.launches == pulsing | {PRODUCT: passes}

        gpu.asked.clear()
        run.step(order[:, 32:], rates)
        assert not gpu.asked

        gpu.asked.clear()
        run.step(order[:, 32:], [rate / 2 for rate in rates])
        assert gpu.asked == {"device.array.sent_numbers.on copies to cuda": 2 * LAYERS}

        gpu.asked.clear()
        run.stack.train(False)
        run.accuracies(run.data.test_x, run.data.test_y)
        assert gpu.asked == {
            "sweep.training.stacked_training.accuracies copies to cuda": 2,
            "sweep.training.stacked_training.accuracies waits": 1,
        }


def test_a_larger_stack_costs_the_host_no_more_operations_and_keys():
    def of_a_step(trials: int) -> tuple[int, int]:
        with FakeGpu().present() as gpu, mock.patch.object(seeds, "_mix", wraps=seeds._mix) as mixed:
            run = training(trials)
            rows, rates = run.next_order()[:, :32], run.rates()
            run.step(rows, rates)
            gpu.operations, before = 0, mixed.call_count
            run.step(rows, rates)
            return gpu.operations, mixed.call_count - before

    assert of_a_step(2) == of_a_step(5)
