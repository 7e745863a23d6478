"""What a sweep tries: every point of a grid, or points drawn at random, in the words of W&B's sweep configuration."""

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from scaling_lab.localserver.graphql import Fault

LARGEST_GRID = 10_000
METHODS = ("grid", "random")

Point = dict[str, Any]


def parse_sweep(text: str) -> dict[str, Any]:
    """A sweep's configuration from its YAML.

    Raises:
        Fault: if it isn't one, or asks for a search that isn't served.
    """
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Fault(f"the sweep is not YAML: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("parameters"), dict) or not config["parameters"]:
        raise Fault("a sweep needs parameters")
    if config.get("method") not in METHODS:
        raise Fault(f"method {config.get('method')!r} is not served here; use one of {', '.join(METHODS)}")
    for name, parameter in config["parameters"].items():
        if not isinstance(parameter, dict):
            raise Fault(f"parameter {name}: needs value, values, or min and max")
    if config["method"] == "grid":
        grid_size(config)
    else:
        draw(config, "", 0)
    return config


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
    size = math.prod(len(_choices(name, parameter)) for name, parameter in config["parameters"].items())
    if size > LARGEST_GRID:
        raise Fault(f"the grid has {size:,} points, more than {LARGEST_GRID:,}")
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
        return list(range(low, high + 1))
    raise Fault(f"parameter {name}: a grid needs value or values")


def _drawn(name: str, parameter: Mapping[str, Any], source: random.Random) -> Any:
    if "value" in parameter:
        return parameter["value"]
    if "values" in parameter:
        return source.choices(parameter["values"], parameter.get("probabilities"))[0]
    kind = parameter.get("distribution") or _usual(parameter)
    quantum = parameter.get("q", 1) if kind.startswith("q_") else None
    try:
        value = _DISTRIBUTIONS[kind.removeprefix("q_")](parameter, source)
    except KeyError as missing:
        raise Fault(f"parameter {name}: distribution {kind} is not known, or lacks {missing}") from None
    except (TypeError, ValueError) as error:
        raise Fault(f"parameter {name}: {error}") from None
    return value if quantum is None else round(value / quantum) * quantum


def _usual(parameter: Mapping[str, Any]) -> str:
    whole = isinstance(parameter.get("min"), int) and isinstance(parameter.get("max"), int)
    return "int_uniform" if whole else "uniform"


def _between(parameter: Mapping[str, Any], source: random.Random) -> float:
    return source.uniform(parameter["min"], parameter["max"])


def _between_logs(parameter: Mapping[str, Any], source: random.Random) -> float:
    return math.exp(source.uniform(math.log(parameter["min"]), math.log(parameter["max"])))


_DISTRIBUTIONS: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
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
