"""What a page is made of. The frame lays these out, as HTML and as Markdown, and knows nothing of what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph; ``soft`` for what explains, as against what was found."""

    words: str
    soft: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Items:
    """A list, folded away under ``title`` where it is long."""

    words: Sequence[str]
    title: str = ""
    folded: bool = False
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows; columns in ``numbers`` do not break.

    Args:
        name: of its CSV file. title: what it holds, for a reader who meets the table alone.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Chart:
    """A picture.

    Args:
        name: of its files. spec: Vega-Lite. label: its content in words, numbers included, for who cannot see it.
        caption: below the picture.
    """

    name: str
    spec: dict[str, Any]
    label: str
    caption: str = ""


@dataclass(frozen=True)
class Charts:
    """Pictures side by side, ``many`` of them smaller."""

    charts: Sequence[Chart]
    many: bool = False
    kind: ClassVar[str] = "charts"


@dataclass(frozen=True)
class Code:
    """Text as it was written, for example a study file."""

    text: str
    title: str
    kind: ClassVar[str] = "code"


type Part = Text | Items | Table | Charts | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; ``anchor`` is its place in the page's address."""

    title: str
    anchor: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Fact:
    """A number of the first screen, with what it means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Page:
    """A page: the answer, its certainty, facts, sections.

    Args:
        title: of the window. heading: above the answer. answer: sentences, the most important one first.
        open: whether the second sentence is a warning that the answer is open.
        numbers: the indices, small enough to travel inside the page. files: beside the page, name and what it holds.
    """

    title: str
    heading: str
    answer: Sequence[str]
    open: bool
    facts: Sequence[Fact]
    sections: Sequence[Section]
    numbers: dict[str, Any]
    files: Sequence[tuple[str, str]]

    def charts(self) -> list[Chart]:
        """All pictures, in the order of the page."""
        return [c for s in self.sections for part in s.parts if isinstance(part, Charts) for c in part.charts]

    def tables(self) -> list[Table]:
        """All tables, in the order of the page."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Table)]
