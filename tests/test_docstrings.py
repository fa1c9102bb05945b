"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(("vcm_sweep", *path.relative_to(ROOT).with_suffix("").parts))
    for folder in ("device", "sweep", "analysis", "cluster")
    for path in (ROOT / folder).rglob("*.py")
    if path.stem != "__init__" and ">>>" in path.read_text(encoding="utf-8")
)


class Finder(doctest.DocTestFinder):
    """Knows the classes of a file by its text: public ones go by the name of their package."""

    def _from_module(self, module: ModuleType, object: Any) -> bool:
        if isinstance(object, type) and object.__module__ == "vcm_sweep.device":
            text = Path(str(module.__file__)).read_text(encoding="utf-8")
            return re.search(rf"^class {object.__name__}\b", text, re.MULTILINE) is not None
        return bool(super()._from_module(module, object))  # type: ignore[misc]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where studies/ is
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE
    )
    for examples in Finder().find(module, name):
        runner.run(examples)
    assert runner.tries
    assert not runner.failures
