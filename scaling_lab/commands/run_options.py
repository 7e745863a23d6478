"""The options that say what a run is, defined once for every command that takes them (`train`, `config show`).

    @app.command()
    @takes_run_options
    def train(options: RunOptions, dry_run: Annotated[bool, typer.Option("--dry-run")] = False) -> None:
        resolved = options.resolve()

Each option is a name for one key of the configuration; its help is that field's own description. Values stay text
here, and are read by `scaling_lab.config` as it reads YAML, so that a mistake gets the same words wherever it is made.
"""

import inspect
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from scaling_lab.config import Override, ResolvedConfig, resolve_config
from scaling_lab.config.fields import FIELDS
from scaling_lab.config.options import OPTIONS, SHORT_OPTIONS

P = ParamSpec("P")
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class RunOptions:
    """What was given on the command line about a run: a file, and the values that go before it."""

    config_file: Path | None
    overrides: tuple[Override, ...]

    def with_override(self, key: str, value: str, source: str) -> "RunOptions":
        """The same, with one value before all others."""
        return replace(self, overrides=(*self.overrides, Override(key, value, source)))

    def resolve(self, *more: Override) -> ResolvedConfig:
        """The run's configuration from all sources, `more` before all of them. Raises ConfigError."""
        return resolve_config(self.config_file, overrides=(*self.overrides, *more))


def takes_run_options(
    command: Callable[Concatenate[RunOptions, P], None], without: Container[str] = ()
) -> Callable[..., None]:
    """Gives a command, whose first parameter is a RunOptions, the options of a run; its own follow them in the help."""
    keys = tuple(entry for entry in OPTIONS if entry[0] not in without)
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    parameters = [*_parameters(keys), *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own)]

    @wraps(command)
    def with_run_options(**given: Any) -> None:
        rest = {parameter.name: given.pop(parameter.name) for parameter in own}
        command(_gather(keys, given), **rest)  # pyright: ignore[reportCallIssue] - P is not known here

    # Typer reads the signature and the annotations of the function it is given.
    with_run_options.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    with_run_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_run_options


def takes_study_options(command: Callable[Concatenate[RunOptions, P], None]) -> Callable[..., None]:
    """The same for a command about many runs: all options but those that tell its runs apart."""
    return takes_run_options(command, without=("--size", "--seed", "--name"))


def _parameters(keys: Sequence[_Key]) -> list[inspect.Parameter]:
    """One keyword parameter for each option, as Typer wants them."""
    config = typer.Option("--config", "-c", metavar="FILE", help="YAML file of a run; options go before what it says.")
    option = typer.Option(
        "--option", "-o", metavar="SECTION.KEY=VALUE", help="Any other value of a run's configuration. Repeatable."
    )
    return [
        _parameter("config", Path | None, config, None),
        *(_parameter(_name(flag), str | None, _keyed(flag, metavar, key), None) for flag, metavar, key in keys),
        _parameter("option", list[str], option, []),
    ]


def _parameter(name: str, annotation: Any, option: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, option]
    )


def _keyed(flag: str, metavar: str, key: str) -> Any:
    names = [flag, SHORT_OPTIONS[flag]] if flag in SHORT_OPTIONS else [flag]
    return typer.Option(*names, metavar=metavar, help=FIELDS[key].description, show_default=False)


def _gather(keys: Sequence[_Key], given: dict[str, Any]) -> RunOptions:
    named = [
        Override(key, given[_name(flag)], f"command line {flag}")
        for flag, _, key in keys
        if given[_name(flag)] is not None
    ]
    # Last, so that `-o` wins over the option of the same key: it was the more deliberate to type.
    free = [Override.parse(assignment, "command line -o") for assignment in given["option"]]
    return RunOptions(given["config"], (*named, *free))


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
