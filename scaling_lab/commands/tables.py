"""Tables on a terminal: names on the left, numbers on the right."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose first column stands left and whose others stand right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def number(count: int | None) -> str:
    """A count with its thousands apart; a dash where there is none."""
    return "–" if count is None else f"{count:,}"
