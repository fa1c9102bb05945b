"""Every study of studies/ keeps its digest and the keys of all its trials, by which finished trainings are found."""

from pathlib import Path

import pytest

from . import measured

STUDIES = sorted(measured.STUDIES.glob("*.toml"))


def test_every_study_is_guarded() -> None:
    assert {path.name for path in STUDIES} == set(measured.read("keys.json"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_digest_and_keys_of_a_study_stay(path: Path) -> None:
    assert measured.keys(path) == measured.read("keys.json")[path.name]
