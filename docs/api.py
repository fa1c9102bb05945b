"""The pages of the site that are made of docstrings: a page per public face, the names in its ``__init__.pyi``.

A hook of mkdocs, and an extension of griffe, which reads the code for mkdocstrings without importing it.
"""

import ast
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
LINKS = ROOT / "build" / "links" / "vcm_sweep"
FACES = ("device", "sweep", "analysis", "cluster")


def on_startup(**_: Any) -> None:
    """Give the four folders the name under which they are imported."""
    LINKS.mkdir(parents=True, exist_ok=True)
    for face in FACES:
        if not (LINKS / face).exists():
            (LINKS / face).symlink_to(Path("../../..") / face)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for face in FACES:
        files.append(File.generated(config, f"api/{face}.md", content=page(face)))
    return files


def page(face: str) -> str:
    """The text of the page of a face, in which mkdocstrings fills in what each name's docstring says."""
    said = ast.get_docstring(ast.parse((ROOT / face / "__init__.py").read_text(encoding="utf-8")))
    blocks = [f"# vcm_sweep.{face}", f"{said}", *(f"::: vcm_sweep.{face}.{name}" for name in names(face))]
    return "\n\n".join(blocks) + "\n"


def names(face: str) -> list[str]:
    """The public names of a face, in the order of the alphabet.

    >>> names("cluster")
    ['Client', 'LiveView', 'RayExecutor', 'RemoteStudy', 'main']
    """
    stub = ast.parse((ROOT / face / "__init__.pyi").read_text(encoding="utf-8"))
    return sorted(name.name for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names)


class Docstrings(griffe.Extension):
    """Writes docstrings as Markdown has it: an example as code, and a name of ours without its role."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring as Markdown."""
    text = re.sub(r":(?:func|class|meth|mod|attr|data):`~?", "`", text)
    return re.sub(r"(?m)^( *)(>>> .*(?:\n\1(?=\S| ).*)*)", r"\1```pycon\n\1\2\n\1```", text)
