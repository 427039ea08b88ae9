"""What the pages for users hold: commands, Python and links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        page: its name.
        line: as it is written.
    """

    page: str
    line: str

    @property
    def words(self) -> list[str]:
        """Return it as a shell splits it, without comments; a # within a word, as in a colour, is none."""
        return shlex.split(re.sub(r"(^|\s)#.*$", "", self.line))

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"


def blocks(page: Path, kind: str) -> list[str]:
    """Return the fenced blocks of a kind."""
    return [text for name, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if name == kind]


def commands() -> list[Command]:
    """Return every command of every page's `sh` blocks, each once."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                command = Command(page.name, line.strip())
                if command.words:
                    found.setdefault(shlex.join(command.words), command)
    return list(found.values())


def links(page: Path) -> list[str]:
    """Return what a page links to."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return _LINK.findall(text)


def prose(page: Path) -> list[str]:
    """Return a page's lines outside blocks and tables."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if not line.lstrip().startswith("|")]


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
