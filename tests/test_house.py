"""The order of the code: small files and folders, a README in each, no shared private names, a complete wheel."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("device", "sweep", "analysis", "cluster")
FILES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES})


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_folder_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    assert listed == sorted(".".join(("vcm_sweep", *folder.relative_to(ROOT).parts)) for folder in FOLDERS)
    assert all((ROOT / top / "py.typed").exists() for top in TOPS)


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_a_folder_can_be_read_as_a_table_of_contents(folder: Path) -> None:
    files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= 16
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert [name for name in files if not re.search(rf"\b{re.escape(name)}\b", readme)] == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_says_what_it_is_and_holds_one_thing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "the first line says what the file is"
    assert text.count("\n") <= 400
    assert path.name == "__init__.py" or not path.name.startswith("_")


def test_what_files_share_has_a_public_name() -> None:
    shared = [
        f"{named(path)}:{node.lineno} {name.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vcm_sweep")
        for name in node.names
        if name.name.startswith("_")
    ]
    assert shared == []


def test_tests_stand_where_the_files_that_they_test_do() -> None:
    ours = {folder.relative_to(ROOT) for folder in FOLDERS}
    theirs = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert theirs - ours - {Path("."), Path("golden")} == set()
