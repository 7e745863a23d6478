"""What a fit says, as JSON can hold it."""

from math import isfinite
from typing import Any


def json_ready(value: Any) -> Any:
    """The same with lists for tuples, and null for a number that does not exist or has no bound."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return value
