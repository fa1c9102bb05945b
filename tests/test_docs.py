"""The tables of the documentation and of the READMEs that are made from the code agree with it."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
_SPEC = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
assert _SPEC is not None
assert _SPEC.loader is not None
tables = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(tables)


@pytest.mark.parametrize("page", tables.TABLES)
def test_the_tables_of_a_page_are_current(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert text == tables.written(page, text), "run make docs"


@pytest.mark.parametrize("readme", tables.READMES, ids=lambda path: str(path.parent.relative_to(tables.ROOT)))
def test_a_folder_s_readme_says_what_its_files_say(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert text == tables.contents(readme, text), "run make docs"
