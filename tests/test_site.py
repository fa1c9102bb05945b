"""The site is built from docs/ without a warning, and loads nothing from elsewhere; the README is short and true."""

import doctest
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vcm_sweep.sweep import Study, build_design

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

_SPEC = importlib.util.spec_from_file_location("docs_api", ROOT / "docs" / "api.py")
assert _SPEC is not None
assert _SPEC.loader is not None
api = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(api)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(made)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    return made


def test_every_page_of_docs_is_on_the_site(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages - {path.stem for path in site.glob("*.html")} == set()
    assert (site / "example" / "report.html").read_bytes() == (ROOT / "docs/example/report.html").read_bytes()


@pytest.mark.parametrize("face", api.FACES)
def test_the_page_of_a_face_says_what_each_public_name_is(face: str, site: Path) -> None:
    text = (site / "api" / f"{face}.html").read_text(encoding="utf-8")
    public = importlib.import_module(f"vcm_sweep.{face}").__all__
    assert set(api.names(face)) == set(public)
    assert [name for name in public if not re.search(rf'id="?vcm_sweep\.{face}\.{name}["> ]', text)] == []
    assert not re.search(r":(func|class|meth):", text)


def test_docstrings_become_markdown() -> None:
    assert doctest.testmod(api) == (0, 1)
    text = "See :func:`run`.\n\n    >>> 1 + 1\n    2\n\nMore."
    assert api.as_markdown(text) == "See `run`.\n\n    ```pycon\n    >>> 1 + 1\n    2\n    ```\n\nMore."


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//|"
                       r"<link\b[^>]*\bhref=[\"']?(?:https?:)?//|@import|url\([\"']?(?:https?:)?//")  # fmt: skip
    texts = {path: path.read_text(encoding="utf-8") for path in (*site.rglob("*.html"), *site.rglob("*.css"))}
    assert len(texts) > 20
    assert {path.name: found.group() for path, text in texts.items() if (found := loads.search(text))} == {}


def test_links_within_the_site_lead_somewhere(site: Path) -> None:
    gone = []
    for page in site.rglob("*.html"):
        for link in re.findall(r'href="([^"#?]+)', page.read_text(encoding="utf-8")):
            if page.name not in ("404.html", "report.html") and ":" not in link and not (page.parent / link).exists():
                gone.append((page.name, link))
    assert gone == []


def test_the_readme_is_short_and_its_study_is_whole() -> None:
    assert README.count("\n") < 120
    lines = re.search(r"(?:^    .*\n)+", README[README.index("    study = ") :], re.MULTILINE)
    assert lines is not None
    study = Study.from_text("".join(line[4:] for line in lines.group().splitlines(keepends=True)))
    assert lines.group().count("\n") == 10
    study.check()
    assert len(build_design(study)) == 512


def test_every_word_of_the_glossary_is_said_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    words = [word for row in rows[2:] for word in row.split(", ")]
    needed = {"trial", "row", "point", "block", "pack", "luck", "rate", "design", "index", "factor", "record", "seed"}
    assert needed - set(words) == set()
    assert len(words) == len(set(words))
