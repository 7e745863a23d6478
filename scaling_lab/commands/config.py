"""`scaling-lab config`: what a run would be, whether a file is valid, and which keys there are."""

import json
from pathlib import Path
from typing import Annotated

import typer

from scaling_lab.commands.run_options import RunOptions, takes_run_options
from scaling_lab.config import SIZES, ResolvedConfig, RunConfig, resolve_config
from scaling_lab.config.yaml_reader import read_yaml

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def config() -> None:
    """Show, check and explain configurations."""


@app.command()
@takes_run_options
def show(
    options: RunOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print pure JSON: config and sources.")] = False,
) -> None:
    """Print every value of a run, and where it came from."""
    resolved = options.resolve()
    typer.echo(_as_json(resolved) if as_json else _as_table(resolved))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML file of a run, or of a recipe for every size.")],
) -> None:
    """Check a file by itself, without environment or options; one without `size:` is checked with each size."""
    sizes = [None] if "size" in read_yaml(file).values else SIZES
    for size in sizes:
        resolve_config(file, size=size, environ={})
    typer.echo(f"{file}: valid" + (" with every size" if len(sizes) > 1 else ""))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration, for editors and for reference."""
    typer.echo(json.dumps(RunConfig.model_json_schema(), indent=2))


def _as_json(resolved: ResolvedConfig) -> str:
    content = {"config": resolved.config.model_dump(mode="json"), "sources": resolved.sources}
    return json.dumps(content, indent=2)


def _as_table(resolved: ResolvedConfig) -> str:
    """Three columns: key, value, source. Plain text, so that grep and awk can have it."""
    values = resolved.config.model_dump(mode="json")
    rows = [(key, _value(values, key), source) for key, source in resolved.sources.items()]
    key_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{key:<{key_width}}  {value:<{value_width}}  {source}" for key, value, source in rows)


def _value(values: dict, key: str) -> str:
    for part in key.split("."):
        values = values[part]
    return values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
