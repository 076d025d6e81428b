"""The pages as they stand: their links lead somewhere, their code compiles."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Block, blocks

PYTHON = [block for page in PAGES for block in blocks(page, "python")]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    ast.parse(block.text, str(block))


def test_every_page_stands_in_the_index() -> None:
    linked = set(LINK.findall((ROOT / "docs/index.md").read_text()))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_has_a_block_of_an_unknown_language(page: Path) -> None:
    known = ("python", "console", "text", "ini", "yaml", "docker")
    assert len(blocks(page, *known)) == page.read_text().count("\n```") // 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_place_in_the_source_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:bgtasksd?|tests|systemd|docs|examples|benchmarks)/[\w./@-]*)`", page.read_text())
    assert not [place for place in named if not (ROOT / place).exists()]
