"""What each field takes, in words and in code: from the plain values of YAML and text to the schema's strict types.

The schema is strict, so that nothing is converted by accident. What a person may write instead of the exact type is
decided here, field by field kind: `512e3` for a whole number, `1` for a fraction, text for a folder, one word for a
list of one. What is left (bounds, patterns, fields that contradict each other) pydantic checks afterwards.
"""

import difflib
import math
import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scaling_lab.config.schema import RunConfig
from scaling_lab.config.yaml_reader import parse_value, read_scalar
from scaling_lab.errors import ConfigError


def _sections() -> dict[str, type[BaseModel]]:
    fields = RunConfig.model_fields.items()
    return {
        name: info.annotation
        for name, info in fields
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    }


def _leaves() -> dict[str, FieldInfo]:
    leaves = {name: info for name, info in RunConfig.model_fields.items() if name not in SECTIONS}
    for section, model in SECTIONS.items():
        leaves |= {f"{section}.{name}": info for name, info in model.model_fields.items()}
    return leaves


SECTIONS: dict[str, type[BaseModel]] = _sections()
FIELDS: dict[str, FieldInfo] = _leaves()  # every field that holds a value, by dotted key: "recipe.learning_rate"


class Unfit(Exception):  # noqa: N818 - a finding, collected and reported with its place
    """A value that a field can't take. The message is the problem, without place or fix."""


def fit(key: str, value: object) -> object:
    """Turns a plain value (of YAML, or given from Python) into the type of the field at `key`.

    Raises:
        Unfit: nothing a person could mean by it; `wanted(key)` says what the field takes.
    """
    kind, nullable = _kind(key)
    if value is None:
        if nullable:
            return None
        raise Unfit("is empty")
    if isinstance(value, dict):
        raise Unfit("has keys of its own, but takes one value")
    if kind is tuple:
        return _fit_words(value)
    if isinstance(value, list | tuple):
        raise Unfit("is a list, but takes one value")
    if kind is Path:
        return value if isinstance(value, Path) else _fit_path(_fit_word(value))
    if kind is int:
        return _fit_int(value)
    if kind is float:
        return _fit_float(value)
    if kind is bool:
        return _fit_truth(value)
    return _fit_word(value) if kind is str else _fit_choice(_fit_word(value), kind)


def fit_text(key: str, text: str) -> object:
    """Turns what was typed on a command line, or stands in the environment, into the type of the field at `key`.

    Read as YAML, except that a field of words takes the text as it stands: a run may be named `2024`, or `on`.

    Raises:
        Unfit: as `fit`.
    """
    kind, _ = _kind(key)
    text = text.strip()
    if not text:
        raise Unfit("is empty")
    value = read_scalar(text)
    if kind in (str, Path) and text != "null":
        value = text
    elif kind is tuple and text[0] == "[":
        try:
            value = parse_value(text, "list")
        except ConfigError:
            raise Unfit(f"{shown(text)} is no list") from None
    elif kind is tuple:
        value = [text]
    return fit(key, value)


def wanted(key: str) -> str:
    """What the field at `key` takes, in words that end a message: "a whole number from 8 to 65,536"."""
    kind, nullable = _kind(key)
    words = {  # the schema's only text is a name, its only list the tags
        int: "a whole number" + _bounds(key),
        float: "a number" + _bounds(key),
        bool: "true or false",
        Path: "a folder",
        str: "1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit",
        tuple: "at most 20 words of 1 to 64 characters, as in [night, baseline]",
    }
    text = words[kind] if isinstance(kind, type) else "one of " + ", ".join(kind)
    return text + (", or leave it out" if nullable else "")


def shown(value: object) -> str:
    """A value as a message quotes it: short, and in YAML's words for true, false and null."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(str(value)) if isinstance(value, str | Path) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, choices: list[str] | tuple[str, ...]) -> str | None:
    """The choice most like a misspelt word, or None if none is much like it."""
    return next(iter(difflib.get_close_matches(word.lower(), choices, n=1, cutoff=0.7)), None)


def _kind(key: str) -> tuple[Any, bool]:
    """The type in a field's annotation (for a Literal, the tuple of its words), and whether null is allowed."""
    annotation: Any = FIELDS[key].annotation
    nullable = get_origin(annotation) in (Union, UnionType)
    if nullable:
        annotation = next(arm for arm in get_args(annotation) if arm is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return get_args(annotation), nullable
    return get_origin(annotation) or annotation, nullable


def _fit_int(value: object) -> int:
    if isinstance(value, bool):
        raise Unfit(f"{shown(value)} is not a number")
    if isinstance(value, int):
        return value
    if not isinstance(value, float):
        raise Unfit(f"{shown(value)} is not a whole number" + _number_hint(value))
    if not value.is_integer():
        raise Unfit(f"{value} is not a whole number")
    return int(value)


def _fit_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit(f"{shown(value)} is not a number" + _number_hint(value))
    if math.isnan(value):
        raise Unfit("is not a number (nan)")
    try:
        return float(value)
    except OverflowError:
        raise Unfit("is too large") from None


def _fit_truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit(f"{shown(value)} is neither true nor false")
    return value


def _number_hint(value: object) -> str:
    if not isinstance(value, str):
        return ""
    if isinstance(read_scalar(value), int | float):
        return " but text (take off the quotes)"
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", value):
        return f" (write it {value.replace(',', '_')})"
    return ""


def _fit_word(value: object) -> str:
    if not isinstance(value, str):
        kind = "truth value" if isinstance(value, bool) else "number"
        raise Unfit(f"{shown(value)} is read as a {kind} (put it in quotes if it is text)")
    if re.search("[\0\ud800-\udfff]", value):
        raise Unfit("holds what no file system or terminal can take")
    return value


def _fit_path(text: str) -> Path:
    if not text.strip():
        raise Unfit("is empty")
    try:
        return Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError:
        raise Unfit(f"{shown(text)} names the home of an unknown user") from None


def _fit_words(value: object) -> tuple[str, ...]:
    return tuple(_fit_word(item) for item in (value if isinstance(value, list | tuple) else [value]))


def _fit_choice(word: str, choices: tuple[str, ...]) -> str:
    if word in choices:
        return word
    near = nearest(word, choices)
    raise Unfit(f"{shown(word)} is not known" + (f" (did you mean {near}?)" if near else ""))


def _bounds(key: str) -> str:
    """Bounds in words, from the field's own constraints: " from 8 to 65,536", " above 0, at most 1"."""
    low = high = ""
    for bound in FIELDS[key].metadata:
        match bound:
            case Ge(ge=limit):
                low = f" from {limit:,}"
            case Gt(gt=limit):
                low = f" above {limit:,}"
            case Le(le=limit):
                high = f" to {limit:,.0f}" if low.startswith(" from") else f", at most {limit:,.0f}"
            case Lt(lt=int(limit)):
                high = f" to {limit - 1:,}" if _kind(key)[0] is int else f", below {limit:,}"
    return low + high
