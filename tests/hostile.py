"""What a decoder could stumble over, and requests that were valid before some of it was put into them."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Raw:
    """A token of JSON as it is to stand in the text, which Python itself would not write."""

    text: str


@dataclass(frozen=True)
class Text:
    """JSON inside of JSON: the value is sent as a string that holds it."""

    value: Any


@dataclass(frozen=True)
class Twice:
    """An object that names a key of its own twice."""

    value: dict[str, Any]
    again: Any


HUGE = Raw("9" * 4000)
HOSTILE_TEXTS = [
    *("", " ", ".", "..", "../../key", "/etc/passwd", "a/b", "a\\", 'a"b', "'; DROP TABLE runs; --", "%00", "$.x"),
    *("\0", "a\0b", "\ud800", "\udfff\ud800", "\u202eevil", "e\u0301", "\u00e9", "\ufeff", "\u2028", "²", "٣", "𝟙"),
    *("NaN", "Infinity", "-1", "1e999", "1_0", "0x10", "9" * 30, "9" * 5000, "null", "true", "[]", "{}", '{"a":', "v0"),
    *("UnVuOjk5OTk=", "UnVuOi0x", "UnVuOg==", "/////w==", "UnVuOjk5OTk5OTk5OTk5OTk5OTk5OTk5", "x" * 129, "y" * 20_000),
    *("(", "[", "%", "_", "$", "$in", "config.", "config.a\\", 'config."', "tags", "state", "latest", "1970-01-01"),
    *("{" * 3000, "[" * 3000, "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, "\x1b[31m", "a: &a [*a]"),
]
SCALARS = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**62, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, HUGE),
        *(0.5, -0.0, 1e300, 5e-324, Raw("NaN"), Raw("Infinity"), Raw("-Infinity"), Raw("1e999"), Raw("-1E-999")),
    ]
)
_CONTAINERS = st.sampled_from(
    [
        *([], {}, [None], [[]], [{}], {"": ""}, ["a"], [1, "a"], {"a": 1}, {"name": 1}, {"value": None}, {"$in": 1}),
        *(list(range(2000)), ["a"] * 2000, {str(n): n for n in range(2000)}, Raw("[" * 900 + "]" * 900)),
        *(Raw('{"a":' * 900 + "1" + "}" * 900), Raw('{"a":1,"a":[]}'), {"_type": []}, {"_type": "x", "a": Raw("NaN")}),
    ]
)
# Letters of all sorts, and what is not one, as half of a surrogate pair.
TEXTS = (
    st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=8) | st.text(st.characters(categories=("Cs", "Cc")), max_size=3)
)
HOSTILE: st.SearchStrategy[Any] = SCALARS | TEXTS | _CONTAINERS | st.builds(Text, SCALARS | _CONTAINERS)


def dumped(value: Any) -> str:
    """The value as JSON."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Text):
        return json.dumps(dumped(value.value))
    if isinstance(value, Twice):
        items = [*value.value.items(), *((key, value.again) for key in list(value.value)[:1])]
        return "{" + ",".join(f"{json.dumps(key)}:{dumped(inner)}" for key, inner in items) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dumped(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumped, value)) + "]"
    return json.dumps(value)


@st.composite
def harmed(draw: st.DrawFn, value: Any, most: int = 3) -> Any:
    """The value with up to `most` of what is in it replaced, left out, given twice or called otherwise."""
    for _ in range(draw(st.integers(0, most))):
        path = draw(st.sampled_from(list(_paths(value))))
        value = _changed(draw, value, path)
    return value


def _paths(value: Any) -> list[tuple[Any, ...]]:
    """Where something stands in a value, the value itself first."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, Text):
        inner = [(None, value.value)]
    elif isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    # Of long lists the beginning stands for the rest.
    return [(), *((key, *rest) for key, part in inner[:30] for rest in _paths(part))]


def _changed(draw: st.DrawFn, value: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return _replaced(draw, value)
    key, *rest = path
    if isinstance(value, Text):
        return Text(_changed(draw, value.value, tuple(rest)))
    if isinstance(value, list):
        return [_changed(draw, part, tuple(rest)) if place == key else part for place, part in enumerate(value)]
    return {name: _changed(draw, part, tuple(rest)) if name == key else part for name, part in value.items()}


def _replaced(draw: st.DrawFn, value: Any) -> Any:
    """Something in a value's place that is near to it, or far from it."""
    ways = [st.just(None), HOSTILE, st.builds(lambda part: [part], st.just(value))]
    if isinstance(value, str):
        ways += [
            st.builds(lambda place, put: value[:place] + put + value[place:], st.integers(0, len(value)), TEXTS),
            st.builds(lambda begin, size: value[:begin] + value[begin + size :], *[st.integers(0, len(value))] * 2),
        ]
    if isinstance(value, dict) and value:
        names = st.sampled_from(sorted(value))
        ways += [
            st.builds(lambda gone: {key: part for key, part in value.items() if key != gone}, names),
            st.builds(lambda name, key, part: {**value, key: part} | {name: part}, names, TEXTS, HOSTILE),
            st.builds(lambda again: Twice(value, again), HOSTILE),
        ]
    if isinstance(value, list) and value:
        ways += [
            st.builds(lambda times: value * times, st.sampled_from([0, 2, 300])),
            st.builds(lambda more: [*value, more], HOSTILE),
        ]
    return draw(st.one_of(ways))
