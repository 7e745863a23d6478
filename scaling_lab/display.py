"""Text from outside, safe to look at: what can't be seen is spelled out, and what a notebook shows is escaped.

A result has `_repr_html_`, which Jupyter calls: sentences and tables without a style of their own, so that they look as
the notebook does.
"""

import html
import unicodedata
from collections.abc import Iterable, Sequence
from math import isinf, isnan

# Control characters, marks that turn the direction of text, and half of a surrogate pair, which no file can hold.
_UNSEEN = ("Cc", "Cs")
_DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def plain(text: str) -> str:
    """Text from outside with what can't be seen spelled out: a right-to-left override as \\u202e, six characters."""
    return "".join(
        f"\\u{ord(character):04x}"
        if character in _DIRECTION_MARKS or unicodedata.category(character) in _UNSEEN
        else character
        for character in text
    )


def html_paragraphs(texts: Iterable[str]) -> str:
    """One paragraph a text."""
    return "".join(f"<p>{_escaped(text)}</p>" for text in texts)


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand right, with five digits, and whole ones with all of theirs."""
    head = "".join(f"<th>{_escaped(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    title = f"<caption>{_escaped(caption)}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    side = "left" if isinstance(value, str) else "right"
    return f'<td style="text-align: {side}">{_escaped(_shown(value))}</td>'


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return "–" if value is None else str(value)
    return "–" if isnan(value) else "∞" if isinf(value) else f"{value:.5g}"


def _escaped(text: str) -> str:
    return html.escape(plain(text))
