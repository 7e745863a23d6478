"""`scaling-lab config`: what a run would be, whether a file is valid, and which keys there are."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from scaling_lab.commands.run_options import RunOptions, takes_run_options
from scaling_lab.config import SIZES, ResolvedConfig, RunConfig, resolve_config
from scaling_lab.config.yaml_reader import read_yaml

MARKDOWN_INTRODUCTION = """# Configuration

Every key of a run, as `scaling-lab config schema --markdown` prints it. Values come from the command line, then the
environment (`SCALING_LAB_RECIPE__LEARNING_RATE=1e-3`, `WANDB_PROJECT`, …), then a YAML file (`--config run.yaml`), then
the preset of ladder and size, then the default; `scaling-lab config show` says which. Any key can be given as
`-o section.key=value`."""

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
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/config.md: the same as tables.")] = False,
) -> None:
    """Print the JSON Schema of a configuration, for editors and for reference."""
    content = RunConfig.model_json_schema()
    typer.echo(_as_markdown(content) if markdown else json.dumps(content, indent=2))


def _as_json(resolved: ResolvedConfig) -> str:
    content = {"config": resolved.config.model_dump(mode="json"), "sources": resolved.sources}
    return json.dumps(content, indent=2)


def _as_markdown(schema: dict[str, Any]) -> str:
    """A table for the run itself and one for each section: key, default, bounds, description."""
    sections = {"": schema["properties"]}
    for name, field in schema["properties"].items():
        if _reference(field):
            sections[name] = schema["$defs"][_reference(field)]["properties"]
    return "\n\n".join([MARKDOWN_INTRODUCTION, *(_markdown_section(name, fields) for name, fields in sections.items())])


def _markdown_section(section: str, fields: dict[str, Any]) -> str:
    prefix = f"{section}." if section else ""
    rows = [
        f"| `{prefix}{name}` | {_default(field)} | {_bounds(field)} | {field['description']} |"
        for name, field in fields.items()
        if not _reference(field)
    ]
    return "\n".join(
        [f"## {section or 'The run'}\n", "| key | default | bounds | what |", "| --- | --- | --- | --- |", *rows]
    )


def _reference(field: dict[str, Any]) -> str:
    """Name of the section that a field is, or nothing."""
    return field.get("$ref", "").rpartition("/")[2]


def _default(field: dict[str, Any]) -> str:
    if "default" not in field:
        return "preset"
    return "absent" if field["default"] is None else f"`{json.dumps(field['default'])}`"


def _bounds(field: dict[str, Any]) -> str:
    """What a value may be: the words of an enumeration, or the ends of a range."""
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    for kind in kinds:
        if "enum" in kind:
            return ", ".join(f"`{word}`" for word in kind["enum"])
        signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
        ends = [f"{sign} {kind[name]:,}" for name, sign in signs.items() if name in kind]
        if ends:
            return " and ".join(ends)
    return ""


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
