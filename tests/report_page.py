"""A report read as a browser reads it: its text, its tables, and everything that it might load."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Page(HTMLParser):
    """What an HTML file says.

    text: everything outside scripts and styles. elements: each start tag with its attributes. tables: by id, rows of
    {data-key: (text, data-value)}. scripts: by id, the text of each script element that has one.
    """

    source: str
    text: str = ""
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    tables: dict[str, list[dict[str, tuple[str, str]]]] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._raw: str | None = None
        self._table = ""
        self._cell: tuple[str, str] | None = None
        self.feed(self.source)
        self.close()

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that the page holds, by name; a page that has none has no script either."""
        return json.loads(self.scripts.get("figures", "{}"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag in ("script", "style"):
            self._raw = found.get("id") or tag
        elif tag == "table":
            self._table = found.get("id") or ""
            self.tables[self._table] = []
        elif tag == "tr" and self._table:
            self.tables[self._table].append({})
        elif "data-key" in found:
            self._cell = (found["data-key"] or "", found.get("data-value") or "")
            self.tables[self._table][-1][self._cell[0]] = ("", self._cell[1])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._raw = None
        elif tag in ("td", "th"):
            self._cell = None
        elif tag == "table":
            # Heads have no cell with a key.
            self.tables[self._table] = [row for row in self.tables[self._table] if row]

    def handle_data(self, data: str) -> None:
        if self._raw is not None:
            self.scripts[self._raw] = self.scripts.get(self._raw, "") + data
            return
        self.text += data
        if self._cell is not None:
            key, value = self._cell
            row = self.tables[self._table][-1]
            row[key] = (row[key][0] + data, value)


def colours_of(figure: Any, key: str = "") -> set[str]:
    """Every #rrggbb in a figure as JSON has it, or in the part of it that is under `key`."""
    if isinstance(figure, dict):
        return set().union(*(colours_of(item, name) for name, item in figure.items()))
    if isinstance(figure, list | tuple):
        return set().union(*(colours_of(item, key) for item in figure))
    return {figure[:7]} if key.endswith("color") and isinstance(figure, str) else set()
