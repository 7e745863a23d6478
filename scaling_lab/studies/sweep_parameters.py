"""The `parameters` of a sweep: names that `scaling-lab train` has options for, and the values a trial may take.

A parameter reaches its trial as `--name=value`, so it is flat, has an option, and its value is read as typed text.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scaling_lab.config.fields import FIELDS, nearest, shown
from scaling_lab.config.options import OPTIONS
from scaling_lab.config.settings import Override
from scaling_lab.config.yaml_reader import KeyPath

OPTION_KEYS = {flag.removeprefix("--").replace("-", "_"): key for flag, _, key in OPTIONS}
# Of W&B's distributions those whose ends are values; the others take exponents, or have no ends.
DISTRIBUTIONS = ("uniform", "int_uniform", "q_uniform", "log_uniform_values", "categorical", "constant")
_RANGE_KEYS = ("min", "max", "distribution", "q")

Place = Callable[[KeyPath], str]
Fault = Callable[[KeyPath, str], None]


@dataclass(frozen=True)
class Candidate:
    """A value that a parameter may take."""

    name: str
    override: Override

    def __str__(self) -> str:
        return f"{self.name}={self.override.value}"


def read_parameters(parameters: Any, method: Any, place: Place, fault: Fault) -> dict[str, tuple[Candidate, ...]]:
    """The candidates of each parameter: every value of a list, or both ends of a range; `fault` is told of the rest."""
    if not isinstance(parameters, dict) or not parameters:
        fault(("parameters",), "is missing or empty; write, say, `size:` and under it `values: [tiny, small]`")
        return {}
    found: dict[str, tuple[Candidate, ...]] = {}
    for name, content in parameters.items():
        path = ("parameters", name)
        key = OPTION_KEYS.get(name.replace("-", "_"))
        if isinstance(content, dict) and "parameters" in content:
            fault(path, "is nested, and an agent would write it as Python text; keep parameters flat: learning_rate")
        elif key is None:
            fault(path, _unknown(name))
        else:
            values = _values(content, path, method, fault)
            # As the agent writes it, so that a value is read as the trial will read it.
            found[name] = tuple(Candidate(name, Override(key, str(value), place(where))) for where, value in values)
    return found


def _values(content: Any, path: KeyPath, method: Any, fault: Fault) -> Iterator[tuple[KeyPath, Any]]:
    """(place, value) of each candidate."""
    if not isinstance(content, dict):
        fault(path, f"{shown(content)} stands where its values should; write `values: [...]` under it")
        return
    for key in content:
        if key not in ("value", "values", *_RANGE_KEYS):
            fault((*path, key), "no such key; a parameter takes value or values, or min and max in a random sweep")
    if "values" in content:
        yield from _listed(content["values"], (*path, "values"), fault)
    elif "value" in content:
        yield from _plain((*path, "value"), content["value"], fault)
    elif "min" in content and "max" in content:
        yield from _range(content, path, method, fault)
    else:
        fault(path, "has no values; write `values: [...]` under it")


def _listed(values: Any, path: KeyPath, fault: Fault) -> Iterator[tuple[KeyPath, Any]]:
    if not isinstance(values, list) or not values:
        fault(path, f"{shown(values)} is not a list of values; write [a, b]")
        return
    seen: set[str] = set()
    for index, value in enumerate(values):
        where = (*path, index)
        if str(value) in seen:
            fault(where, f"{shown(value)} is given twice, and would be trained twice; keep one")
            continue
        seen.add(str(value))
        yield from _plain(where, value, fault)


def _range(content: dict[str, Any], path: KeyPath, method: Any, fault: Fault) -> Iterator[tuple[KeyPath, Any]]:
    distribution = content.get("distribution", "uniform")
    if method == "grid":
        fault(path, "is a range, and a grid needs values; write `values: [...]` under it")
    elif distribution not in DISTRIBUTIONS:
        fault(
            (*path, "distribution"), f"{shown(distribution)} is not known here; give one of {', '.join(DISTRIBUTIONS)}"
        )
    else:
        for end in ("min", "max"):
            yield from _plain((*path, end), content[end], fault)


def _plain(where: KeyPath, value: Any, fault: Fault) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict | list | bool) or value is None:
        fault(where, f"{shown(value)} can't be handed to a trial as --name=value; give a number or a word")
    else:
        yield where, value


def _unknown(name: str) -> str:
    names = {full.rpartition(".")[2]: full for full in FIELDS}
    bare = name.replace("-", "_").rpartition(".")[2]
    own = next((option for option, key in OPTION_KEYS.items() if key.rpartition(".")[2] == bare), None)
    if own:
        return f"no option of train; write {own}"
    near = nearest(bare, list(OPTION_KEYS))
    if near:
        return f"no option of train; did you mean {near}?"
    if bare in names:
        return f"train has no option of that name; set it for every trial in command: -o, {names[bare]}=VALUE"
    return f"no option of train; a parameter is one of {', '.join(OPTION_KEYS)}"
