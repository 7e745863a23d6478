"""JSON inside of JSON, as a client sends it: in variables, in rows, in files. What is kept can be read again by all."""

import json
from typing import Any

from scaling_lab.localserver.graphql import Fault

# SQLite reads JSON no deeper than 1000, and code that walks it has an end, too. Nobody nests values like that.
DEEPEST = 100


def json_value(text: object, what: str) -> Any:
    """The value that JSON text spells, NaN and infinities allowed. Raises Fault, which calls it `what`."""
    if not isinstance(text, str):
        raise Fault(f"{what} is JSON, as text")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Fault(f"{what} is not JSON: {error}") from None
    if text.count("[") + text.count("{") > DEEPEST and is_deeper(content, DEEPEST):
        raise Fault(f"{what} is nested deeper than {DEEPEST}")
    return content


def json_object(text: object, what: str) -> dict[str, Any]:
    """The object that JSON text spells. Raises Fault, which calls it `what`."""
    content = json_value(text, what)
    if not isinstance(content, dict):
        raise Fault(f"{what} is a JSON object, as text")
    return content


def whole(value: object, what: str) -> int:
    """The value, a whole number. Raises Fault, which calls it `what`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Fault(f"{what} is not a whole number")
    return value


def is_deeper(value: Any, depth: int) -> bool:
    """Whether there are more than `depth` objects and lists around something in a value."""
    level = [value]
    for _ in range(depth + 1):
        containers = [part for part in level if isinstance(part, dict | list)]
        level = [inner for part in containers for inner in (part.values() if isinstance(part, dict) else part)]
    return bool(level)
