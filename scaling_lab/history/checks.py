"""What a run says of itself, looked at before anything is made of it: each field that is read has the type it must.

Reached whenever runs are read, from folders (`runs`) or from a server (`record`): reports, fits and tables rely on it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Nobody writes results as deep as this; code that walks them has an end.
DEEPEST = 20
# Of a wrong value, so many characters are shown.
_SHOWN = 40


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


_Check = tuple[Callable[[Any], bool], str]
_TEXT: _Check = (_is_text, "text")
_NUMBER: _Check = (_is_number, "a number")
_WHOLE: _Check = (_is_whole, "a whole number")
_OBJECT: _Check = (_is_object, "an object")
_PLAIN: _Check = (_is_plain, "text or a number")

# Where the keys lead: "config.recipe.*" is every value of the recipe. What is not there is not looked at.
_NEVER_NULL: dict[str, _Check] = {
    **dict.fromkeys(("name", "size", "ladder", "state"), _TEXT),
    "seed": _WHOLE,
    "identity": _OBJECT,
    "parameters": _OBJECT,
    "parameters.*": _WHOLE,
    **dict.fromkeys(("config", "config.model", "config.recipe"), _OBJECT),
    **dict.fromkeys(("config.model.*", "config.recipe.*"), _PLAIN),
}
_OR_NULL: dict[str, _Check] = {
    **dict.fromkeys(("started_at", "updated_at", "git_commit", "wandb_id", "wandb_url"), _TEXT),
    **dict.fromkeys(("data", "machine", "versions"), _OBJECT),
    **dict.fromkeys(("steps", "tokens", "steps_done", "best_step", "peak_memory_bytes"), _WHOLE),
    **dict.fromkeys(("flops_per_token", "total_flops", "epochs"), _NUMBER),
    **dict.fromkeys(("final_train_loss", "final_val_loss", "best_val_loss"), _NUMBER),
    **dict.fromkeys(("bits_per_character", "bits_per_byte", "bits_per_note"), _NUMBER),
    **dict.fromkeys(("tokens_per_second", "mfu", "training_seconds"), _NUMBER),
    **dict.fromkeys(("data.vocab_size", "data.train_tokens", "data.val_tokens"), _WHOLE),
    **dict.fromkeys(("data.name", "data.fingerprint", "data.licence"), _PLAIN),
}
_COUNTS_OF_N = ("total", "non_embedding", "matmul")


def fault_of(results: Mapping[str, Any]) -> str | None:
    """The first field that has no value of its type, in words; None where all have."""
    too_much = _beyond(results, "", 0)
    if too_much is not None:
        return too_much
    for path, (is_right, what) in (*_NEVER_NULL.items(), *_OR_NULL.items()):
        for name, value in _values(results, path):
            if not is_right(value) and not (value is None and path in _OR_NULL):
                return f"{name} is {_shown(value)}, not {what}"
    lacking = [count for count in _COUNTS_OF_N if count not in results.get("parameters", _COUNTS_OF_N)]
    return f"parameters lacks {', '.join(lacking)}" if lacking else None


def _values(results: Any, path: str, above: str = "") -> Iterator[tuple[str, Any]]:
    """What stands at a path, each with its name; nothing where there is nothing."""
    key, _, rest = path.partition(".")
    if not isinstance(results, Mapping):
        return
    for name in results if key == "*" else (key,):
        if name in results and rest:
            yield from _values(results[name], rest, f"{above}{name}.")
        elif name in results:
            yield f"{above}{name}", results[name]


def _beyond(value: Any, name: str, depth: int) -> str | None:
    """What no code here could go on with, in words: a number that no float holds, or objects in objects without end."""
    if depth > DEEPEST:
        return f"{name.partition('.')[0]} is nested deeper than {DEEPEST}"
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            return f"{name} is a number of {len(str(value))} digits"
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    inside = (_beyond(item, f"{name}.{key}" if name else str(key), depth + 1) for key, item in items)
    return next((fault for fault in inside if fault), None)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
