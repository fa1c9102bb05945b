"""Conditions are trained with equal seeds, and what is trained of one stays whatever becomes of the others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vcm_sweep.sweep import Design, InProcessExecutor, Study, build_design, open_results, run, train
from vcm_sweep.sweep.data.sets import load
from vcm_sweep.sweep.packs.order import Order

STUDIES = Path(__file__).parents[3] / "studies"
TEXT = """
[study]
name = "tiny"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
train_samples = 64
test_samples = 50
[design]
method = "conditions"
baseline = "plain"
replicates = 3
[[condition]]
name = "plain"
[[condition]]
name = "spread"
published = 40
device.d2d.r = { sigma = 0.05 }
[[condition]]
name = "wide"
network.hidden = [16]
[[condition]]
name = "slow"
network.lr = 0.01
"""
ADDED = '[[condition]]\nname = "first"\ndevice.pulse_s = 2e-6\n'


def keys(text: str) -> dict[tuple[str, int], str]:
    """The keys of all trials by condition and replicate."""
    study = Study.from_text(text)
    return {(study.conditions[t.point].name, t.replicate): t.key for t in build_design(study).trials()}


def test_replicates_share_their_seeds_across_conditions() -> None:
    trials = list(build_design(Study.from_text(TEXT)).trials())
    assert len(trials) == len({trial.key for trial in trials}) == 12
    seeds = {replicate: {t.seed for t in trials if t.replicate == replicate} for replicate in range(3)}
    assert [len(shared) for shared in seeds.values()] == [1, 1, 1]
    assert len(set.union(*seeds.values())) == 3


def test_keys_hold_no_name_no_published_value_and_no_count() -> None:
    held = keys(TEXT)
    more = keys(TEXT.replace("replicates = 3", "replicates = 5").replace("[[condition]]", f"{ADDED}[[condition]]", 1))
    assert held.items() <= more.items()
    renamed = keys(TEXT.replace("published = 40", "published = 41").replace('"spread"', '"r spread"'))
    assert set(renamed.values()) == set(held.values())


def test_packs_follow_the_file_and_hold_what_can_be_stacked() -> None:
    study = Study.from_text(TEXT)
    design = build_design(study)
    order = Order(design, np.arange(len(design)), 4)
    order.learn(range(4), [1.0, 8.0, 2.0, 4.0] * 1)
    order.learn(list(range(4)) * 2, [1.0, 8.0, 2.0, 4.0] * 2)
    packs = [[study.conditions[trial.point].name for trial in pack] for pack in order.packs()]
    assert packs == [["plain"] * 3 + ["spread"], ["spread"] * 2 + ["slow"] * 2, ["wide"] * 3, ["slow"]]
    # What was learned of costs tells the conditions apart.
    assert np.argsort(order.costs.predict(design.scaled())).tolist() == [0, 2, 3, 1]


def test_what_is_finished_is_taken_over_by_a_longer_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained: list[str] = []

    def counted(trials: list) -> list:  # type: ignore[type-arg]
        trained.extend(trial.key for trial in trials)
        return train(trials)

    first = run(Study.from_text(TEXT), InProcessExecutor(counted), pack=5)
    assert first.counts() == {"ok": 12}
    longer = TEXT.replace("[[condition]]", f"{ADDED}[[condition]]", 1).replace("published = 40", "published = 39")
    second = run(Study.from_text(longer), InProcessExecutor(counted), pack=5)
    assert len(trained) == 12 + 3
    # Each record stands at its condition: names and accuracies agree between the two.
    held, grown = (open_results(results.folder) for results in (first, second))
    old, new = (dict(zip([c.name for c in r.study.conditions], r.blocks()[:, 0], strict=True)) for r in (held, grown))
    assert {name: values.tolist() for name, values in old.items()}.items() <= {
        name: values.tolist() for name, values in new.items()
    }.items()


@pytest.mark.parametrize("name", ["paper", "paper-full"])
def test_every_condition_of_the_paper_trains(name: str, tmp_path: Path) -> None:
    text = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in (
        ('data = "mnist"', 'data = "digits"\ntrain_samples = 64\ntest_samples = 50'), ("[256, 128]", "[4]"),
        ("epochs = 30", "epochs = 1"), ("replicates = 5", "replicates = 1"), ("pack = 5", "pack = 25"),
    ):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    assert run(Study.from_text(text), InProcessExecutor(train), tmp_path / "out").counts() == {"ok": 25}


def test_a_word_chooses_the_published_or_the_described_map() -> None:
    text = (STUDIES / "paper.toml").read_text(encoding="utf-8")
    assert text.count('preset = "as-published"') == 1
    described = Study.from_text(text.replace('preset = "as-published"', 'preset = "as-described"'))
    published = Study.from_text(text)
    assert published.conditions[0].device["periphery"] == {"w_min": -0.6, "w_max": 0.6, "clamped": False}
    assert described.conditions[0].device["periphery"] == {"w_min": -1.5, "w_max": 1.5, "clamped": True}
    assert [c.published for c in described.conditions] == [c.published for c in published.conditions]
    assert sum(c.published is not None for c in published.conditions) == 7


@pytest.mark.engine
def test_floating_point_is_a_condition_where_aihwkit_s_engine_works() -> None:
    text = (STUDIES / "paper.toml").read_text(encoding="utf-8")
    for old, new in (('data = "mnist"', 'data = "digits"'), ("[256, 128]", "[32]"), ("lr = 0.05", "lr = 0.5")):
        text = text.replace(old, new)
    before, _, rest = text.partition("# [[condition]]")
    design = build_design(Study.from_text(before + "[[condition]]" + rest.replace("\n# ", "\n")))
    assert design.study.conditions[-1].name == "floating point"
    [record] = train([design.trial(len(design.points) - 1, 0)])
    # As stochastic gradient descent by torch.
    assert abs(record.accuracy - plain_accuracy(design)) < 0.03


def plain_accuracy(design: Design) -> float:
    """Of the same network and schedule, trained by torch without any device."""
    spec, data = design.study.network, load("digits")
    torch.manual_seed(0)
    hidden = spec.hidden[0]
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, hidden), torch.nn.Sigmoid(), torch.nn.Linear(hidden, 10)
    )
    optimizer = torch.optim.SGD(net.parameters(), spec.lr)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, spec.lr_step_epochs, spec.lr_gamma)
    for _ in range(spec.epochs):
        for rows in torch.randperm(len(data.train_y)).split(spec.batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(data.train_x[rows]), data.train_y[rows]).backward()
            optimizer.step()
        schedule.step()
    return float((net(data.test_x).argmax(1) == data.test_y).float().mean())
