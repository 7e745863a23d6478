"""Reads a YAML file as a person means it, and remembers where every key stood.

PyYAML does the scanning; this module decides what is let in and what a word means. It builds from PyYAML's events, one
at a time, and stops at the first thing that could make a small file large (an alias, a deep nest, too many nodes), so
memory is bounded by the file. Compared with `yaml.safe_load`:

- `3e-4` and `1e6` are numbers; `on`, `off`, `yes`, `no` and dates are words; only `true` and `false` are booleans.
- Keys are always words, and a key given twice is a fault rather than the last one winning.
- Anchors, aliases, tags and tabs are refused.

Every fault is a ConfigError: `file:line:column: field: problem; fix`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from scaling_lab.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 8
MAX_NODES = 10_000
MAX_FAULTS = 20  # a screenful; a file with more is another kind of file

KeyPath = tuple[str | int, ...]

# What YAML allows in a file, less the lone surrogates that Python would fail to print later.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNPRINTABLE_VALUE = re.compile("[\x00\ud800-\udfff]")

# Thirty digits are more than any field holds, and far below the 4,300 at which int() refuses.
_INT = re.compile(r"[-+]?[0-9](_?[0-9]){0,29}")
_FLOAT = re.compile(
    r"[-+]?([0-9](_?[0-9]){0,29}(\.([0-9](_?[0-9]){0,29})?)?|\.[0-9](_?[0-9]){0,29})([eE][-+]?[0-9]{1,4})?"
)
_SPECIAL_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_NULLS = ("", "~", "null")
_BOOLEANS = {"true": True, "false": False}

# PyYAML's words for the commonest slips, and ours.
_IN_OTHER_WORDS = {
    "mapping values are not allowed here": "a `:` that fits nothing here; quote the value, or line the key up",
    "could not find expected ':'": "a key without its `:`; write `key: value`",
    "expected <block end>, but found": "the indentation does not line up; give the keys of one section the same indent",
    "found unexpected end of stream": "quotes or brackets are opened and never closed; close them",
    "expected ',' or": "brackets are opened and never closed, or a comma is missing; write [a, b]",
    "found unknown escape character": "an unknown escape in double quotes; use single quotes, or double the backslash",
    "cannot start any token": "a character that cannot start a value; put the value in quotes",
}


@dataclass(frozen=True)
class YamlDocument:
    """One file, read: plain values (dict, list, str, int, float, bool, None) and the position of each key path.

    Attributes:
        name: The file as messages name it.
        values: The top-level mapping.
        positions: Line and column, from 1, of each key (or list item): ("model", "d_model") -> (3, 5).
    """

    name: str
    values: dict[str, Any]
    positions: dict[KeyPath, tuple[int, int]]

    def place(self, path: KeyPath) -> str:
        """`run.yaml:3:5`: where that key stands."""
        line, column = self.positions[path]
        return f"{self.name}:{line}:{column}"


def read_yaml(path: Path, name: str | None = None) -> YamlDocument:
    """Reads one YAML file of at most a megabyte, in UTF-8 with or without a byte order mark.

    Args:
        path: The file.
        name: What messages call it; the path itself if absent.

    Raises:
        ConfigError: it can't be read, or isn't one mapping in plain YAML.
    """
    shown = name or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{shown}: no such file; check the path, or leave --config out to use presets alone"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{shown}: this is a folder; name the YAML file inside it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{shown}: cannot be read ({reason}); give a file that you may read") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{shown}: more than {MAX_BYTES:,} bytes, so no configuration; give the YAML file of a run")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8-sig"))
        raise ConfigError(f"{shown}:{line}:{column}: file: not UTF-8; save it as UTF-8") from None
    return parse_yaml(text, shown)


def parse_yaml(text: str, name: str) -> YamlDocument:
    """Reads YAML text whose top level is a mapping (or nothing at all, which is an empty mapping).

    Raises:
        ConfigError: as `read_yaml`; messages begin with `name`.
    """
    builder = _Builder(text, name)
    values = builder.build()
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{name}:1:1: file: not a mapping at its top level; write `key: value` lines, such as `size: tiny`"
        )
    return YamlDocument(name, values, builder.positions)


def parse_value(text: str, name: str) -> Any:
    """Reads one YAML value, as it may stand behind `key:`. For what is typed on a command line.

    Raises:
        ConfigError: the text is no value.
    """
    return _Builder(text, name).build()


def read_scalar(text: str) -> str | int | float | bool | None:
    """What one unquoted word means: null, a boolean, a number (`1_000`, `3e-4`), else the word itself."""
    lowered = text if text in ("", "~") else text.lower()
    if lowered in _NULLS:
        return None
    if lowered in _BOOLEANS:
        return _BOOLEANS[lowered]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if lowered in _SPECIAL_FLOATS:
        return float(_SPECIAL_FLOATS[lowered])
    return text


@dataclass
class _Builder:
    """Turns the events of one document into values, noting positions and faults on the way."""

    text: str
    name: str
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    nodes: int = 0

    def build(self) -> Any:
        self._refuse_unprintable()
        events = self._events()
        value = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and self.nodes:
                self._refuse(event, (), "a second document; keep one `---` at most")
            if isinstance(event, yaml.NodeEvent):
                value = self._node(event, events, ())
        if self.faults:
            raise ConfigError("\n".join(self.faults))
        return value

    def _events(self) -> Iterator[Any]:
        parser = yaml.SafeLoader(self.text)
        try:
            while parser.check_event():
                yield parser.get_event()
        except yaml.MarkedYAMLError as error:
            self._refuse_syntax(error)
        except (ValueError, OverflowError):  # an escape beyond Unicode, or a version of 5,000 digits
            mark = parser.get_mark()
            self._fail(mark.line + 1, mark.column + 1, "a number or escape out of all bounds; write plain text here")

    def _node(self, event: Any, events: Iterator[Any], path: KeyPath) -> Any:
        self._check(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(event, path)

    def _check(self, event: Any, path: KeyPath) -> None:
        """Refuses what a configuration has no use for, before anything is built from it."""
        self.nodes += 1
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, f"*{event.anchor[:40]} is an alias; write the value out")
        if event.anchor is not None:
            self._refuse(event, path, f"&{event.anchor[:40]} is an anchor; write the value out where it is needed")
        if event.tag is not None:
            self._refuse(event, path, f"{_readable_tag(event.tag)} is a tag; write a plain value")
        if len(path) > MAX_DEPTH:
            self._refuse(event, path[:2], f"nested more than {MAX_DEPTH} deep; a configuration has sections and keys")
        if self.nodes > MAX_NODES:
            self._refuse(event, path[:2], f"more than {MAX_NODES:,} values; a configuration has fewer than a hundred")

    def _mapping(self, events: Iterator[Any], path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            here = (*path, key)
            first = self.positions.get(here)
            if first is not None:
                self._note(event, here, f"given twice, first on line {first[0]}; keep one of the two")
            else:
                self.positions[here] = _position(event)
            values[key] = self._node(next(events), events, here)
        return values

    def _key(self, event: Any, path: KeyPath) -> str:
        self._check(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, path, "a key that is itself a list or a mapping; write `key: value`")
        self._refuse_escapes(event, path)
        return event.value

    def _sequence(self, events: Iterator[Any], path: KeyPath) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            here = (*path, len(items))
            self.positions[here] = _position(event)
            items.append(self._node(event, events, here))
        return items

    def _scalar(self, event: Any, path: KeyPath) -> str | int | float | bool | None:
        self._refuse_escapes(event, path)
        return read_scalar(event.value) if event.style is None else event.value

    def _refuse_escapes(self, event: Any, path: KeyPath) -> None:
        if _UNPRINTABLE_VALUE.search(event.value):
            self._refuse(event, path, "an escape that stands for no character; take it out")

    def _refuse_unprintable(self) -> None:
        found = _UNPRINTABLE.search(self.text)
        if found:
            line, column = _line_and_column(self.text[: found.start()])
            character = "NUL" if found[0] == "\0" else f"character U+{ord(found[0]):04X}"
            raise ConfigError(f"{self.name}:{line}:{column}: file: {character} in a text file; take it out")

    def _refuse_syntax(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark = error.problem_mark or error.context_mark
        line, column, index = (mark.line + 1, mark.column + 1, mark.index) if mark else (1, 1, 0)
        if self.text[index : index + 1] == "\t":
            words = "a tab where YAML wants spaces; indent with spaces"
        else:
            problem = str(error.problem)
            known = (ours for theirs, ours in _IN_OTHER_WORDS.items() if theirs in problem)
            words = next(known, f"{problem}; mend this line or the one above it")
        self._fail(line, column, words)

    def _fail(self, line: int, column: int, words: str) -> NoReturn:
        """Ends the reading at a place where there are no more values to be had."""
        raise ConfigError("\n".join([*self.faults, f"{self.name}:{line}:{column}: syntax: {words}"])) from None

    def _refuse(self, event: Any, path: KeyPath, words: str) -> NoReturn:
        self._note(event, path, words)
        raise ConfigError("\n".join(self.faults)) from None

    def _note(self, event: Any, path: KeyPath, words: str) -> None:
        line, column = _position(event)
        parts = (str(part) if str(part).isprintable() else repr(part) for part in path)
        dotted = ".".join(parts)[:100] or "file"
        self.faults.append(f"{self.name}:{line}:{column}: {dotted}: {words}")
        if len(self.faults) >= MAX_FAULTS:
            raise ConfigError("\n".join(self.faults)) from None


def _position(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _readable_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:60]
