"""Changes of a study file's text: they mean what they say in every notation of TOML, and leave all else as it is."""

import itertools
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm_sweep.sweep.errors import StudyError
from vcm_sweep.sweep.study.editing import found, with_value, without

FILES = sorted(Path("studies").glob("*.toml"))
NOTATIONS = (
    "",
    '[network]\nlr = 1e-3  # rate\n\n# next\n[[factor]]\nname = "a"\n\n# second\n[[factor]]\nname = "b"\n# end\n',
    'device = { dw_min = 1e-4, d2d = { r = { sigma = 0.1 } } }\nfactor = [{ name = "a" }, { name = "b" }]\n',
    "[device]\nd2d.r.sigma = 0.1\nT_0 = 300.0\n[network]\nlr = 0.1\n",
    '[device.d2d.r]\nsigma = 0.1\n[network]\nlr = 0.1\n[device.stuck]\ntotal = 0.01\n[[factor]]\nname = "a"\n',
    'network.lr = 0.1\n"network".epochs = 3\n[device.d2d]\nr = { sigma = 0.1 }\n',
)
PLACES = (
    ("network", "lr"),
    ("network", "epochs"),
    ("device", "T_0"),
    ("device", "d2d", "r", "sigma"),
    ("device", "d2d", "l", "sigma"),
    ("device", "stuck"),
    ("factor", 0, "range"),
    ("factor", 0),
    ("factor", 1),
    ("design", "groups"),
)
VALUES = (3, 0.25, "a # word", True, [0.0, 0.1], {"size": ["r", "l"]}, {})


def plainly(tables: Any, place: tuple[str | int, ...], value: Any) -> None:
    """Put a value into plain tables, the long way round."""
    for key, after in itertools.pairwise(place):
        if isinstance(key, str):
            tables = tables.setdefault(key, [] if isinstance(after, int) else {})
        else:
            tables.extend({} for _ in range(key + 1 - len(tables)))
            tables = tables[key]
    if isinstance(tables, list):
        tables[place[-1] : place[-1] + 1] = [value]  # type: ignore[operator,misc]
    else:
        tables[place[-1]] = value


@given(
    st.sampled_from(NOTATIONS),
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(VALUES)), min_size=1, max_size=4),
)
def test_a_change_is_what_it_would_be_in_plain_tables(text: str, changes: list[tuple[Any, Any]]) -> None:
    for place, value in changes:
        tables = tomllib.loads(text)
        if isinstance(place[-1], int):
            value = {"name": "new"}
            if place[-1] != len(tables.get("factor", [])):
                continue
        expected = deepcopy(tables)
        plainly(expected, place, deepcopy(value))
        text = with_value(text, place, value)
        assert tomllib.loads(text) == expected


@given(st.sampled_from(NOTATIONS), st.lists(st.sampled_from(PLACES), min_size=1, max_size=4))
def test_what_is_taken_out_is_gone_and_nothing_else(text: str, places: list[Any]) -> None:
    for place in places:
        expected = tomllib.loads(text)
        if found(expected, place) is not None:
            holder = found(expected, place[:-1])
            del holder[place[-1]]
            if holder == []:
                del expected[place[0]]
        text = without(text, place)
        assert tomllib.loads(text) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_changed_value_changes_its_line_alone(path: Path) -> None:
    text = path.read_text()
    lines, changed = text.splitlines(), with_value(text, ("network", "epochs"), 77).splitlines()
    assert len(lines) == len(changed)
    different = [(old, new) for old, new in zip(lines, changed, strict=True) if old != new]
    assert len(different) == 1
    old, new = different[0]
    assert new.split("#")[0].strip() == "epochs = 77"
    assert new.partition("#")[2] == old.partition("#")[2]


def test_comments_stay_with_what_they_are_about() -> None:
    text = NOTATIONS[1]
    longer = with_value(text, ("factor", 2, "name"), "c")
    assert longer.index('name = "c"') < longer.index("# end")
    assert "# second" in without(text, ("factor", 0))
    assert "# end" in without(text, ("factor", 1))
    assert with_value(text, ("network", "batch"), 8).index("batch") < text.index("# next") + len("batch = 8\n")


def test_a_value_in_the_way_is_refused() -> None:
    with pytest.raises(StudyError, match=r"^\[network\] lr has no place beside what is there$"):
        with_value("network = 3\n", ("network", "lr"), 0.1)
