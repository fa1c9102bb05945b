"""The parts of a page. frame.py and markdown.py lay them out, and know nothing of what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias


@dataclass(frozen=True)
class Text:
    """A paragraph; ``soft`` for text that explains, in contrast to what was found."""

    words: str
    soft: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Items:
    """A list; ``folded``: only its ``title`` is shown until a reader opens it, for long ones."""

    words: Sequence[str]
    title: str = ""
    folded: bool = False
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows; text in the columns ``numbers`` is not broken into lines.

    Args:
        name: of its CSV file. title: what it holds, for a reader who sees the table by itself.
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
        name: of its files. spec: the Vega-Lite specification. label: its content in words, numbers included, for
            readers who cannot see it. caption: the text below the picture.
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


@dataclass(frozen=True)
class Asking:
    """Sliders of the factors, and the mean that is predicted where they stand.

    Args:
        response: the numbers of `portable`. label: what is predicted.
    """

    response: dict[str, Any]
    label: str
    kind: ClassVar[str] = "asking"


Part: TypeAlias = Text | Items | Table | Charts | Code | Asking


@dataclass(frozen=True)
class Section:
    """A heading and the parts under it; ``anchor`` is the name by which a link to the page finds it (#anchor)."""

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
        title: of the browser's window. heading: above the answer. answer: sentences, the most important one first.
        open: whether the second sentence warns that the answer is open.
        numbers: the indices, which are few enough to be embedded in the page.
        files: files beside the page, each with its name and what it holds.
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

    def asking(self) -> Asking | None:
        """The sliders, where the page has them."""
        return next((part for section in self.sections for part in section.parts if isinstance(part, Asking)), None)

    def tables(self) -> list[Table]:
        """All tables, in the order of the page."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Table)]
