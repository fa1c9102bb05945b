"""Factors whose choices are words: what a trial's inputs hold, how packs are split, and what is refused."""

import tomllib

import jsonschema
import numpy as np
import pytest

from vcm_sweep.sweep import Study, StudyError, build_design
from vcm_sweep.sweep.packs.order import Order
from vcm_sweep.sweep.running.planning import plan
from vcm_sweep.sweep.study.json_schema import study_schema

TEXT = """
[study]
name = "words"
[network]
hidden = [8]
data = "digits"
epochs = 1
batch = 32
lr = 0.02
[[factor]]
name = "network.activation"
distribution = "categorical"
choices = ["tanh", "sigmoid"]
probabilities = [0.25, 0.75]
[[factor]]
name = "read.noise.sigma"
range = [0.0, 0.05]
[design]
n = 64
replicates = 1
"""


def test_inputs_hold_the_word_and_packs_hold_one_of_them() -> None:
    design = build_design(Study.from_text(TEXT))
    words = [trial.inputs["network"]["activation"] for trial in design.trials()]
    assert (words.count("tanh"), words.count("sigmoid")) == (16, 48)
    assert design.study.factors[0].law.words() == "sigmoid (75 %), tanh (25 %)"
    assert design.trial(0, 0).inputs["network"]["lr"] == 0.02
    packs = [{words[number] for number in pack} for pack in Order(design, np.arange(64), 16).sizes()]
    assert sorted(packs, key=str) == [{"sigmoid"}] * 3 + [{"tanh"}]
    assert plan(design.study, pack=64).packs == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"tanh", ', '"tan", ', "choices holds 'tan', and must hold words of 'sigmoid'"),
        ('"tanh", "sigmoid"', "0, 1", "choices holds 0, and must hold words of"),
        ('"tanh", "sigmoid"', '"tanh", "tanh"', "choices: 'tanh' is given 2 times: keep one"),
        (
            'distribution = "categorical"\nchoices = ["tanh", "sigmoid"]\nprobabilities = [0.25, 0.75]',
            "range = [0, 1]",
            "varies over words: give distribution = 'categorical' and choices",
        ),
    ],
)
def test_what_is_no_choice_is_one_line(old: str, new: str, words: str) -> None:
    with pytest.raises(StudyError, match=rf"\[factor 1: network.activation\] .*{words}"):
        Study.from_text(TEXT.replace(old, new))


def test_the_schema_knows_the_words() -> None:
    schema = jsonschema.Draft7Validator(study_schema())
    assert schema.is_valid(tomllib.loads(TEXT))
    assert not schema.is_valid(tomllib.loads(TEXT.replace('"tanh", ', '"tan", ')))
    assert not schema.is_valid(tomllib.loads(TEXT.replace('"categorical"', '"discrete"').replace("choices", "values")))
