"""What nodes have in common: their ids, and lists of them that are read a page at a time."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from scaling_lab.localserver.graphql import Fault, Node

DEFAULT_PAGE, LARGEST_PAGE = 50, 10_000


def node_id(kind: str, *parts: object) -> str:
    """An id that means nothing to a client, and names the kind and its row to us."""
    return base64.b64encode(":".join([kind, *map(str, parts)]).encode()).decode()


def row_of(kind: str, id_: object) -> int:
    """The row that an id names. Raises Fault if it is the id of something else."""
    try:
        found, _, rest = base64.b64decode(str(id_), validate=True).decode().partition(":")
        row = int(rest.split(":")[0])
    except ValueError:
        raise Fault(f"{id_!r} is no id of this server", 404) from None
    if found != kind:
        raise Fault(f"{id_!r} is not the id of a {kind}", 404)
    return row


def connection(
    items: Sequence[Any], node: Callable[[Any], Node], *, total: int | None = None, begin: int = 0, more: bool = False
) -> Node:
    """A page of items as the SDK reads lists: edges with cursors, and whether more follow.

    `begin` is the place of the first item in the whole list, `total` the length of that list where it is known.
    """
    edges = [{"cursor": str(begin + place), "node": node(item)} for place, item in enumerate(items, start=1)]
    return {
        "totalCount": len(items) if total is None else total,
        "edges": edges,
        "pageInfo": {
            "__typename": "PageInfo",
            "endCursor": edges[-1]["cursor"] if edges else None,
            "hasNextPage": more,
        },
    }


def paged(items: Sequence[Any], node: Callable[[Any], Node], first: int | None, after: str | None) -> Node:
    """The page of a list that is all at hand."""
    begin, size = page_bounds(first, after)
    page = items[begin : begin + size]
    return connection(page, node, total=len(items), begin=begin, more=begin + size < len(items))


def page_bounds(first: int | None, after: str | None) -> tuple[int, int]:
    """Place of the first item and largest number of items of a page."""
    try:
        begin = int(after) if after else 0
    except ValueError:
        raise Fault(f"{after!r} is no cursor of this server") from None
    return max(0, begin), max(1, min(first or DEFAULT_PAGE, LARGEST_PAGE))
