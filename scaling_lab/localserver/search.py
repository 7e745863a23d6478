"""What a sweep tries: every point of a grid, or points drawn at random, in the words of W&B's sweep configuration."""

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from scaling_lab.localserver.graphql import Fault

LARGEST_GRID = 10_000
METHODS = ("grid", "random")
LONGEST_CONFIG, MOST_VALUES, LARGEST_NUMBER = 200_000, 200_000, 1e300
LARGEST_TRIALS_BYTES = 64 * 2**20
_NUMBERS = {"min", "max", "mu", "sigma", "a", "b", "q"}

Point = dict[str, Any]


def parse_sweep(text: str) -> dict[str, Any]:
    """A sweep's configuration from its YAML.

    Raises:
        Fault: if it isn't one, or asks for a search that isn't served.
    """
    if len(text) > LONGEST_CONFIG:
        raise Fault(f"the sweep's configuration is longer than {LONGEST_CONFIG:,} characters")
    try:
        config = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise Fault(f"the sweep is not YAML: {error}") from None
    _check_plain(config)
    if not isinstance(config, dict) or not isinstance(config.get("parameters"), dict) or not config["parameters"]:
        raise Fault("a sweep needs parameters")
    if config.get("method") not in METHODS:
        raise Fault(f"method {config.get('method')!r} is not served here; use one of {', '.join(METHODS)}")
    _check_words(config)
    for name, parameter in config["parameters"].items():
        _check_parameter(name, parameter)
    if config["method"] == "grid":
        size = grid_size(config)
        point_bytes = len(json.dumps(next(points(config, ""), {})))
        if size * point_bytes > LARGEST_TRIALS_BYTES:
            raise Fault(f"the grid's points are {point_bytes:,} bytes each, too many of so many")
    else:
        draw(config, "", 0)
    return config


class _Loader(yaml.SafeLoader):
    """YAML as JSON could have it: tags name no types, and merged keys, which multiply, are refused."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(problem=f"tag {event.tag}", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.MarkedYAMLError(problem="a merge key (<<)", problem_mark=node.start_mark)


def _check_plain(config: Any) -> None:
    """Raises Fault for what JSON has no value for, and for aliases that multiply without end."""
    left, n_seen = [config], 0
    while left:
        value = left.pop()
        n_seen += 1
        if n_seen + len(left) > MOST_VALUES:
            raise Fault(f"the sweep's configuration has more than {MOST_VALUES:,} values")
        if isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
        elif not isinstance(value, str | int | float | None):
            raise Fault(f"the sweep's configuration holds a {type(value).__name__}, {value}; put it in quotes")


def _check_words(config: Mapping[str, Any]) -> None:
    for key in ("name", "description", "program", "project"):
        if not isinstance(config.get(key), str | None):
            raise Fault(f"{key} of a sweep is text")
    metric = config.get("metric") or {}
    if not isinstance(metric, dict) or not isinstance(metric.get("name"), str | None):
        raise Fault("metric of a sweep has a name")
    run_cap = config.get("run_cap")
    if run_cap is not None and (not isinstance(run_cap, int) or not 0 < run_cap < 2**31):
        raise Fault("run_cap of a sweep is a number of runs")


def _check_parameter(name: str, parameter: Any) -> None:
    if not isinstance(parameter, dict):
        raise Fault(f"parameter {name}: needs value, values, or min and max")
    values = parameter.get("values", [None])
    if not isinstance(values, list) or not values:
        raise Fault(f"parameter {name}: values is a list of at least one")
    for key in _NUMBERS & parameter.keys():
        # Among them NaN and infinities, with which some distributions are drawn from without end.
        if not isinstance(parameter[key], int | float) or not abs(parameter[key]) <= LARGEST_NUMBER:
            raise Fault(f"parameter {name}: {key} is not a number, but {str(parameter[key])[:80]!r}")


def points(config: Mapping[str, Any], seed: str) -> Iterator[Point]:
    """The points to try, in order; those drawn at random depend on the seed alone, and never end without run_cap."""
    if config["method"] == "grid":
        names = list(config["parameters"])
        choices = [_choices(name, config["parameters"][name]) for name in names]
        found: Iterator[Point] = (dict(zip(names, point, strict=True)) for point in itertools.product(*choices))
    else:
        found = (draw(config, seed, number) for number in itertools.count())
    return itertools.islice(found, config.get("run_cap"))


def grid_size(config: Mapping[str, Any]) -> int:
    """Number of points of a grid. Raises Fault if there are too many, or a parameter has no end of values."""
    size = 1
    for name, parameter in config["parameters"].items():
        size *= len(_choices(name, parameter))
        # Large enough to refuse; a number without end could not be told.
        if size > LARGEST_GRID**2:
            break
    if size > LARGEST_GRID:
        raise Fault(f"the grid has {size:,} points or more; at most {LARGEST_GRID:,} are served")
    return size


def draw(config: Mapping[str, Any], seed: str, number: int) -> Point:
    """One point at random."""
    source = random.Random(f"{seed} {number}")
    return {name: _drawn(name, parameter, source) for name, parameter in config["parameters"].items()}


def _choices(name: str, parameter: Mapping[str, Any]) -> list[Any]:
    if "value" in parameter:
        return [parameter["value"]]
    if "values" in parameter:
        return list(parameter["values"])
    low, high = parameter.get("min"), parameter.get("max")
    if isinstance(low, int) and isinstance(high, int):
        # What is larger is too large, whichever its other parameters.
        return list(range(low, min(high, low + LARGEST_GRID) + 1))
    raise Fault(f"parameter {name}: a grid needs value or values")


def _drawn(name: str, parameter: Mapping[str, Any], source: random.Random) -> Any:
    if "value" in parameter:
        return parameter["value"]
    kind = "values" if "values" in parameter else str(parameter.get("distribution") or _usual(parameter))
    quantum = parameter.get("q", 1) if kind.startswith("q_") else None
    try:
        value = _DISTRIBUTIONS[kind.removeprefix("q_")](parameter, source)
        return value if quantum is None else round(value / quantum) * quantum
    except KeyError as missing:
        raise Fault(f"parameter {name}: distribution {kind} is not known, or lacks {missing}") from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise Fault(f"parameter {name}: {error}") from None


def _usual(parameter: Mapping[str, Any]) -> str:
    whole = isinstance(parameter.get("min"), int) and isinstance(parameter.get("max"), int)
    return "int_uniform" if whole else "uniform"


def _between(parameter: Mapping[str, Any], source: random.Random) -> float:
    return source.uniform(parameter["min"], parameter["max"])


def _between_logs(parameter: Mapping[str, Any], source: random.Random) -> float:
    return math.exp(source.uniform(math.log(parameter["min"]), math.log(parameter["max"])))


_DISTRIBUTIONS: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "values": lambda parameter, source: source.choices(parameter["values"], parameter.get("probabilities"))[0],
    "uniform": _between,
    "int_uniform": lambda parameter, source: source.randint(parameter["min"], parameter["max"]),
    "log_uniform": lambda parameter, source: math.exp(_between(parameter, source)),
    "log_uniform_values": _between_logs,
    "inv_log_uniform_values": lambda parameter, source: (
        parameter["min"] * parameter["max"] / _between_logs(parameter, source)
    ),
    "normal": lambda parameter, source: source.gauss(parameter.get("mu", 0), parameter.get("sigma", 1)),
    "log_normal": lambda parameter, source: math.exp(source.gauss(parameter.get("mu", 0), parameter.get("sigma", 1))),
    "beta": lambda parameter, source: source.betavariate(parameter.get("a", 1), parameter.get("b", 1)),
}
