"""Stacked trials are the trials alone; a real network on real images learns."""

import dataclasses

import pytest
import torch

from vcm_sweep.sweep import SobolDesign, Study, StudyError, Trial, TrialRecord, build_design, train
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.training.stackable import stack_key

TEXT = """
[study]
name = "tiny"
[network]
hidden = [16]
data = "digits"
epochs = 2
batch = 32
lr = 0.02
[[factor]]
name = "mismatch.global.mean"
range = [-0.5, 0.5]
[[factor]]
name = "r.d2d.sigma"
range = [0.0, 0.08]
[[factor]]
name = "r.c2c.direct"
range = [0.0, 0.01]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 4
"""


def trials(text: str = TEXT) -> list[Trial]:
    return list(SobolDesign(Study.from_text(text)).trials())


def comparable(record: TrialRecord) -> TrialRecord:
    return dataclasses.replace(record, wall_s=0.0, cpu_s=0.0)


def test_stacked_is_bit_equal_to_alone_and_order_does_not_matter() -> None:
    chosen = trials()[:5]
    stacked = [comparable(r) for r in train(chosen)]
    alone = [comparable(train([trial])[0]) for trial in chosen]
    reversed_ = [comparable(r) for r in train(chosen[::-1])][::-1]
    assert stacked == alone == reversed_
    assert len({r.accuracy for r in stacked}) > 1


def test_a_stacked_sigmoid_has_the_bits_of_its_trials_alone() -> None:
    """torch computes the last elements of a tensor by another kernel, to other bits."""
    from vcm_sweep.sweep.training.cell_stack import TrialSigmoid

    x = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
    together = TrialSigmoid(6)(x.view(30, 7))
    together.square().sum().backward()
    for k in range(6):
        alone = x.detach()[k].clone().requires_grad_()
        output = torch.sigmoid(alone)
        output.square().sum().backward()
        assert torch.equal(together[5 * k : 5 * k + 5], output)
        assert x.grad is not None
        assert torch.equal(x.grad[k], alone.grad)


@pytest.mark.slow
def test_stacked_is_bit_equal_to_alone_where_no_size_is_a_multiple_of_a_vector_register() -> None:
    text = TEXT.replace("hidden = [16]", "hidden = [30]").replace("batch = 32", "batch = 10")
    chosen = trials(text.replace("epochs = 2", "epochs = 3"))[:6]
    assert [comparable(r) for r in train(chosen)] == [comparable(train([trial])[0]) for trial in chosen]


def test_digits_are_learned_on_physical_cells() -> None:
    text = TEXT.replace("epochs = 2", "epochs = 4").replace("hidden = [16]", "hidden = [32]")
    nominal = trials(text)[:1]
    plain = dataclasses.replace(
        nominal[0], inputs=Study.from_text(text).inputs({"r.d2d.sigma": 0.0, "mismatch.global.mean": 0.0})
    )
    record = train([plain])[0]
    assert record.status == "ok"
    assert record.accuracy > 0.7
    assert not record.at_chance
    assert len(record.history) == 4
    assert record.pulses_set > 0 < record.pulses_reset
    # V I t: 1 us at up to 0.71 V and a few hundred uA.
    per_pulse = record.energy_j / (record.pulses_set + record.pulses_reset)
    assert 1e-11 < per_pulse < 5e-10


def test_mnist_slice_is_learned_close_to_floating_point(mnist_root: str) -> None:
    """The same network, data, start and schedule in floating point is the reference."""
    text = TEXT.replace('"digits"', '"mnist"').replace(
        "hidden = [16]", "hidden = [64]\ntrain_samples = 6400\ntest_samples = 2000"
    )
    text = text.replace("epochs = 2", "epochs = 3").replace("lr = 0.02", "lr = 0.05")
    study = Study.from_text(text)
    trial = dataclasses.replace(trials(text)[0], inputs=study.inputs({f.name: 0.0 for f in study.factors}))
    record = train([trial], mnist_root)[0]
    reference = floating_point_accuracy(mnist_root)
    assert reference > 0.85
    assert record.accuracy > 0.75
    assert record.accuracy > reference - 0.15


def floating_point_accuracy(root: str) -> float:
    torch.manual_seed(0)
    data = load("mnist", root).first(6400, 2000)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(784, 64), torch.nn.Sigmoid(), torch.nn.Linear(64, 10)
    )
    for layer in (network[1], network[3]):
        torch.nn.init.uniform_(layer.weight, -0.5, 0.5)
        torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(3):
        for rows in torch.randperm(6400).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(data.train_x[rows]), data.train_y[rows]).backward()
            optimizer.step()
    return (network(data.test_x).argmax(1) == data.test_y).double().mean().item()


def test_a_deadline_gives_a_timeout_record() -> None:
    late = [dataclasses.replace(trial, deadline_s=1e-6) for trial in trials()[:2]]
    assert [r.status for r in train(late)] == ["timeout", "timeout"]


def test_a_learning_rate_that_explodes_is_a_record_not_an_exception() -> None:
    text = TEXT.replace("lr = 0.02", "lr = 100.0").replace("epochs = 2", "epochs = 1")
    record = train(trials(text)[:1])[0]
    assert record.status in ("ok", "diverged")
    assert record.status == "ok" or record.reason


CHOSEN = """
[[factor]]
name = "device.set_voltage_v"
range = [-0.36, -0.34]
[[factor]]
name = "device.reset_voltage_v"
range = [0.69, 0.72]
[[factor]]
name = "device.pulse_s"
range = [0.5e-6, 1.5e-6]
[[factor]]
name = "device.dw_min"
range = [2e-4, 1e-3]
distribution = "loguniform"
[[factor]]
name = "update.desired_bl"
range = [3, 40]
[[factor]]
name = "io.inp_bits"
range = [4, 8]
[[factor]]
name = "io.out_res"
range = [0.001, 0.02]
[[factor]]
name = "io.out_noise"
range = [0.0, 0.1]
[[factor]]
name = "io.out_bound"
range = [2.0, 12.0]
[[factor]]
name = "network.init"
range = [0.2, 0.6]
[[factor]]
name = "network.lr_gamma"
range = [0.3, 0.9]
[design]"""


def test_trials_with_their_own_pulses_trains_converters_and_schedules_are_stacked_bit_for_bit() -> None:
    text = TEXT.replace("[design]", CHOSEN).replace("lr = 0.02", "lr = 0.02\nlr_step_epochs = 1\nlr_gamma = 0.5")
    chosen = trials(text)[:36:7]
    assert len({stack_key(trial.inputs) for trial in chosen}) == 1
    assert len({trial.inputs["device"]["update"]["desired_bl"] for trial in chosen}) > 2
    stacked = [comparable(r) for r in train(chosen)]
    assert stacked == [comparable(train([trial])[0]) for trial in chosen]
    assert len({r.pulses_set for r in stacked}) == len(chosen)


def test_trials_that_cannot_be_stacked_are_trained_apart_bit_for_bit() -> None:
    text = TEXT.replace(
        "[design]",
        '[[factor]]\nname = "network.batch"\nrange = [16, 17]\n'
        '[[factor]]\nname = "network.epochs"\nrange = [1, 2]\n[design]',
    ).replace("lr = 0.02", "lr = 0.02\ntrain_samples = 200\ntest_samples = 100")
    study = Study.from_text(text)
    points = [{"network.batch": batch, "network.epochs": epochs} for batch in (16, 17) for epochs in (1, 2)] * 2
    chosen = [
        dataclasses.replace(trial, inputs=study.inputs(trial.factors | point))
        for trial, point in zip(trials(text), points, strict=False)
    ]
    records = train(chosen)
    assert [len(record.history) for record in records] == [1, 2] * 4
    assert [comparable(r) for r in records] == [comparable(train([trial])[0]) for trial in chosen]


def test_layers_of_aihwkits_own_devices_have_the_factors_of_a_layer() -> None:
    text = TEXT[: TEXT.index("[[factor]]")].replace("epochs = 2", "epochs = 1\ntrain_samples = 200\ntest_samples = 100")
    text += '[device]\naihwkit = "ConstantStepDevice"\n[design]\nmethod = "morris"\nn = 2\n'
    ranges = {"io.out_noise": "[0.0, 0.2]", "update.desired_bl": "[3, 40]", "aihwkit.dw_min": "[1e-4, 1e-2]"}
    text += "".join(f'[[factor]]\nname = "{name}"\nrange = {span}\n' for name, span in ranges.items())
    study = Study.from_text(text)
    study.check()
    records = train(list(build_design(study).trials()))
    assert [record.status for record in records] == ["ok"] * 8


def test_trials_of_two_data_sets_do_not_make_a_pack() -> None:
    one, other = trials()[:2]
    other.inputs["network"] = {**other.inputs["network"], "data": "mnist"}
    with pytest.raises(StudyError, match="agree on"):
        train([one, other])


def test_missing_mnist_names_the_ways_out(tmp_path: object) -> None:
    with pytest.raises(StudyError, match=r"--data-dir or VCM_SWEEP_DATA"):
        load("mnist", str(tmp_path))


def test_samples_that_only_fill_a_batch_change_nothing() -> None:
    """32 samples in batches of 32 and of 40: the same training but for its noise; no sample adds pulses."""
    text = TEXT.replace("lr = 0.02", "lr = 0.02\ntrain_samples = 32\ntest_samples = 50")
    pulses = []
    for batch in (32, 40, 200):
        trial = dataclasses.replace(trials(text.replace("batch = 32", f"batch = {batch}"))[0], seed=7)
        pulses.append(train([trial])[0].pulses_set or 0)
    assert max(pulses) < 1.3 * min(pulses)
    noisy = text.replace("[[factor]]", '[device.io]\nnoise_management = "NONE"\n[[factor]]', 1)
    with pytest.raises(StudyError, match=r"must be a multiple of batch = 40.*train_samples = "):
        train(trials(noisy.replace("batch = 32", "batch = 40"))[:1])
