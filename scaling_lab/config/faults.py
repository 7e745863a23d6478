"""What is wrong with a configuration, in words: `place: field: problem; fix`, one line each."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from scaling_lab.config.fields import FIELDS, SECTIONS, nearest, shown, wanted
from scaling_lab.config.settings import Rank, Setting

# pydantic's kinds of error, in our words. The value goes before, what the field takes comes after.
_PROBLEMS = {
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "string_pattern_mismatch": "cannot name a folder everywhere",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "too_long": "holds too many words",
}


def misfit(setting: Setting, problem: str) -> str:
    """A value of the wrong kind."""
    return f"{setting.place}: {setting.key}: {problem}; give {wanted(setting.key)}"


def unknown_key(setting: Setting) -> str:
    """A key that no field has: where it belongs, what it was probably meant to be, or what there is."""
    return f"{setting.place}: {_short(setting.key)}: {_guess(setting.key)}"


def from_pydantic(error: ValidationError, winners: Mapping[str, Setting], *, only_bounds: bool = False) -> list[str]:
    """A line for each error that pydantic found in the merged values.

    Args:
        winners: The setting that each key's value was taken from.
        only_bounds: Leave out what may only follow from values already refused: fields missing or at odds.
    """
    lines: list[str] = []
    for detail in error.errors(include_url=False):
        if detail["type"] == "value_error":
            if not only_bounds:
                lines.append(_at_odds(detail, winners))
        elif detail["type"] != "missing" or not only_bounds:
            lines.append(_out_of_bounds(detail, winners))
    return lines


def idle_epochs(winners: Mapping[str, Setting], values: Mapping[str, object]) -> list[str]:
    """A line where epochs were asked for, but a weaker source gives tokens, which would silently go before them."""
    epochs, tokens = winners.get("recipe.epochs"), winners.get("recipe.tokens")
    if epochs is None or tokens is None or values.get("recipe.tokens") is None or epochs.rank <= tokens.rank:
        return []
    why = f"has no effect while recipe.tokens is given ({tokens.place})"
    return [f"{epochs.place}: recipe.epochs: {why}; add -o recipe.tokens=null, or give tokens instead"]


def idle_choices(settings: Sequence[Setting], winners: Mapping[str, Setting]) -> list[str]:
    """A line where another size or ladder was asked for than a file's whose whole model would stay as it is.

    So it is with a run's own config.yaml: `--size large` on that of tiny would train tiny under the name of large.
    """
    model = [winner for key, winner in winners.items() if key.startswith("model.")]
    if not model or any(winner.rank is not Rank.FILE for winner in model):
        return []
    in_file = [setting for setting in settings if setting.rank is Rank.FILE and setting.key in ("size", "ladder")]
    return [
        f"{winners[stated.key].place}: {stated.key}: has no effect, since {stated.place} says {shown(stated.value)} "
        "and gives the whole model; take `model:` out of the file, or leave this out"
        for stated in in_file
        if winners[stated.key].value != stated.value
    ]


def _out_of_bounds(detail: Any, winners: Mapping[str, Setting]) -> str:
    key = ".".join(str(part) for part in detail["loc"][:2])
    key = key if key in FIELDS else str(detail["loc"][0])
    place = winners[key].place if key in winners else "default"
    problem = _PROBLEMS.get(detail["type"], f"is refused ({detail['msg']})")
    return f"{place}: {key}: {shown(detail['input'])} {problem}; give {wanted(key)}"


def _at_odds(detail: Any, winners: Mapping[str, Setting]) -> str:
    """Fields that contradict each other. The schema names one; blamed is the one from the strongest source."""
    message = str(detail["ctx"]["error"])
    section = ".".join(str(part) for part in detail["loc"])
    field, _, words = message.partition(": ")
    named = dict.fromkeys([field, *re.findall(r"[a-z_0-9]+", words)])
    keys = [f"{section}.{name}" if section else name for name in named]
    given = [winners[key] for key in keys if key in winners]
    place = max(given, key=lambda setting: setting.rank).place if given else "default"
    return f"{place}: {keys[0]}: {words}"


def _guess(key: str) -> str:
    if key in SECTIONS:
        return f"is a section, not a value; give its keys under it ({_names(key)})"
    bare = key.replace("'", "").replace("-", "_")
    section, _, name = bare.rpartition(".")
    if bare in FIELDS and key.startswith("'") and section:
        return f"is written with a dot; write `{section}:`, and `{name}:` indented under it"
    if bare in FIELDS:
        return f"no such key; did you mean {name}?"
    homes = [full for full in FIELDS if full.rpartition(".")[2] == name]
    if homes:
        home = homes[0].rpartition(".")[0]
        return f"no such key here; {name} belongs " + (f"under {home}" if home else "at the top level")
    if section and section not in SECTIONS:
        near = nearest(section, list(SECTIONS))
        return f"no such section; did you mean {near}?" if near else f"no such section; there are {', '.join(SECTIONS)}"
    return _similar(section, name)


def _similar(section: str, name: str) -> str:
    siblings = [full.rpartition(".")[2] for full in FIELDS if full.rpartition(".")[0] == section]
    near = nearest(name, siblings if section else [*siblings, *SECTIONS])
    if near:
        return f"no such key; did you mean {near}?"
    anywhere = {full.rpartition(".")[2]: full for full in FIELDS}
    near = nearest(name, list(anywhere))
    if near:
        return f"no such key; did you mean {anywhere[near]}?"
    return f"no such key; {section or 'a configuration'} takes {_names(section)}"


def _names(section: str) -> str:
    """The keys of a section, or of the top level with its sections, as a list in words."""
    own = [full.rpartition(".")[2] for full in FIELDS if full.rpartition(".")[0] == section]
    return ", ".join(own if section else [*own, *SECTIONS])


def _short(key: str) -> str:
    return key if len(key) <= 80 else key[:77] + "..."
