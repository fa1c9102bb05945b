"""A page as Markdown, with links to its pictures: for a repository, a wiki, a letter."""

import re

from vcm_sweep.analysis.report.content.parts import Charts, Code, Items, Page, Section, Table, Text


def markdown(page: Page, stem: str) -> str:
    """The whole page except its interactive parts; pictures are linked as ``stem/<name>.png``."""
    lines = [f"# {plain(page.heading)}", "", f"**{plain(page.answer[0])}**", ""]
    lines += [line for sentence in page.answer[1:] for line in (plain(sentence), "")]
    lines += [f"- {plain(fact.name)}: {plain(fact.value)}, {plain(fact.meaning)}" for fact in page.facts]
    for section in page.sections:
        lines += ["", f"## {plain(section.title)}", "", *_section(section, stem)]
    lines += ["", "## Files", ""]
    lines += [f"- [{name}]({name}): {plain(what)}" for name, what in page.files]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, stem: str) -> list[str]:
    lines: list[str] = []
    for part in section.parts:
        if isinstance(part, Text):
            lines += [plain(part.words), ""]
        elif isinstance(part, Items):
            lines += [*(f"- {plain(words)}" for words in part.words), ""]
        elif isinstance(part, Table):
            lines += [_row(part.columns), _row(["---"] * len(part.columns)), *map(_row, part.rows), ""]
        elif isinstance(part, Charts):
            lines += [f"![{plain(chart.label)}]({stem}/{chart.name}.png)" for chart in part.charts] + [""]
        elif isinstance(part, Code):
            # A fence must be longer than any run of backticks in the text.
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", f"`{part.text}"))))
            lines += [fence, *part.text.splitlines(), fence, ""]
    return lines


def _row(cells: object) -> str:
    return f"| {' | '.join(plain(str(cell)) for cell in cells)} |"  # type: ignore[attr-defined]


def plain(text: str) -> str:
    """The text with everything escaped that Markdown or HTML would take for markup.

    >>> print(plain("<b> a|b *c* 71 % [66, 76]"))
    &lt;b&gt; a\\|b \\*c\\* 71 % [66, 76]
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Brackets are intervals and need no escape, except before a parenthesis, where they would make a link.
    return re.sub(r"([\\`*_|])", r"\\\1", text).replace("](", "]\\(").replace("\n", " ")
