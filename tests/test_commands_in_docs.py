"""Everything that pages of the documentation name exists: commands with their options, make targets, files."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from vcm_sweep.cluster.cli import build_parser

ROOT = Path(__file__).parents[1]
PARSER = build_parser()
TOPS = ("device", "sweep", "analysis", "cluster", "tests", "docs", "deploy", "studies", "benchmarks")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(path for top in TOPS for path in (ROOT / top).rglob("*.md") if path.name != "report.md")]
)
# CHANGELOG.md also tells of what is gone.
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
FILE_ENDINGS = "py|pyi|toml|md|sh|yaml"
TREE = {path.name for top in TOPS for path in (ROOT / top).rglob("*") if path.is_file()} | {
    path.name for path in ROOT.iterdir() if path.is_file()
}
# Files that a user has, or that a run writes.
THEIRS = {
    "first.toml",
    "cell.toml",
    "doubtful.toml",
    "study.toml",
    "report.md",
    "STUDY.toml",
    "EDITED.toml",
    "torch.py",
    "device.py",
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_lines(text: str) -> Iterator[str]:
    """Lines that are typed: indented by four or fenced, without the prompt, the folder of the program and remarks."""
    for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE):
        yield re.sub(r"\s+#.*", "", line.removeprefix("$ ").removeprefix(".venv/bin/")).split(" > ")[0]


def in_passing(text: str) -> list[str]:
    """What stands in backticks."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", text)]


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_typed_can_be_parsed(page: Path) -> None:
    for line in code_lines(page.read_text(encoding="utf-8")):
        if line.startswith("vcm-sweep "):
            try:
                PARSER.parse_args(shlex.split(re.sub(r"<[^>]*>", "X", line))[1:])
            except SystemExit as refused:
                raise AssertionError(f"{named(page)}: {line}") from refused


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_named_have_these_options(page: Path) -> None:
    for phrase in in_passing(page.read_text(encoding="utf-8")):
        words = [word.strip("[],") for word in phrase.removeprefix("vcm-sweep ").split()]
        parser, known = PARSER, False
        while words and words[0] in subcommands(parser):
            parser, known = subcommands(parser)[words.pop(0)], True
        options = {word.split("=")[0] for word in words if re.match(r"--\w", word)}
        if known and (options or phrase.startswith("vcm-sweep ")):
            assert options <= parser._option_string_actions.keys(), f"{named(page)}: {phrase}"
        else:
            assert not phrase.startswith("vcm-sweep "), f"{named(page)}: {phrase} is no command"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+(?: [\w-]+)*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    targets = {word for target in targets for word in target.split()}
    text = page.read_text(encoding="utf-8")
    asked = [line for line in (*code_lines(text), *in_passing(text)) if line.startswith("make ")]
    assert [line for line in asked if not targets & set(line.split()[1:])] == []


@pytest.mark.parametrize("page", CURRENT, ids=named)
def test_files_that_are_named_exist(page: Path) -> None:
    """By a path from the root, or from a folder on the way to the page; a bare name anywhere."""
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    above = [folder for folder in page.parents if folder.is_relative_to(ROOT)]
    for found in re.findall(rf"(?<![\w./<*-])([\w.-]+(?:/[\w.-]+)*\.(?:{FILE_ENDINGS}))\b(?![\w(*])", text):
        there = any((folder / found).exists() for folder in above) if "/" in found else found in TREE | THEIRS
        assert there, f"{named(page)} names {found}"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name == "README.md"], ids=named)
def test_a_folder_s_table_names_nothing_that_is_gone(page: Path) -> None:
    rows = re.findall(r"^\| ([\w.-]+(?:\.\w+|/)) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in rows if not (page.parent / name).exists()] == []
