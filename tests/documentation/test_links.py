"""What the documents and the code point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("ops/*.md")])
CODE = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.sql")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_of_a_document_leads_to_a_file_or_heading(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not re.match(r"[a-z]+:", target):
            path, _, heading = target.partition("#")
            page = document.parent / path if path else document
            assert page.exists(), target
            assert not heading or heading in _headings(page), target


def _headings(page: Path) -> set[str]:
    """As they are named in links: lower case, without signs, hyphens for spaces."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_each_page_that_the_code_names_is_there() -> None:
    named = re.compile(r"(?<![\w/])docs/[a-z]+(?:/[\w-]+)*(?:\.md)?")
    missing = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in CODE
        for name in named.findall(file.read_text())
        if not _is_there(name)
    }
    assert missing == set()


def _is_there(name: str) -> bool:
    """A whole path, or the number of a decision (`docs/adr/0005`)."""
    return (ROOT / name).exists() or any(ROOT.glob(f"{name}-*.md"))


def test_each_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
