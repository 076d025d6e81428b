"""The documentation as data: its pages, their blocks of code, their tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "examples/shop/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block of code of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return a page's blocks in these languages, in their order."""
    text = page.read_text()
    found = [
        Block(page, text.count("\n", 0, match.start()) + 1, match["language"], match["text"])
        for match in FENCE.finditer(text)
    ]
    return [block for block in found if block.language in languages]


def section(page: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of the same or a higher level."""
    text = (ROOT / "docs" / page).read_text()
    level = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert level, f"docs/{page} has no section {heading!r}"
    rest = text[level.end() :]
    return re.split(rf"^#{{1,{len(level[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def column(text: str, number: int = 0) -> list[str]:
    """Return one column of all tables in a text, without heads and rules."""
    rows = [line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|- :")]
    return [re.split(r"(?<!\\)\|", row.strip().strip("|"))[number].strip() for row in rows]


def code_in(cells: list[str] | str) -> set[str]:
    """Return every piece of code in the cells, one word each."""
    text = cells if isinstance(cells, str) else " ".join(cells)
    return {word for code in re.findall(r"`([^`]+)`", text) for word in code.split()}
