"""`scaling-lab sweep create sweeps/mini.yaml`: W&B sweeps, checked before they are made, looked at and stopped."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.pull_options import Entity, Project, Store, Tracking, reading_mode

if TYPE_CHECKING:
    from scaling_lab.config import RunConfig
    from scaling_lab.studies.lints import PlannedRun
    from scaling_lab.studies.sweeps import ServerMode

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

DEFAULT_STORE = Path("outputs/local-wandb")
DEFAULT_PROJECT = "music-scaling"

Sweep = Annotated[str, typer.Argument(metavar="ID", help="A sweep: ID, PROJECT/ID or ENTITY/PROJECT/ID.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print pure JSON.")]


@app.callback()
def sweep() -> None:
    """Check a W&B sweep and create it, see how far it is, stop it."""


@app.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep's YAML file, such as sweeps/mini.yaml.")],
    project: Project = None,
    entity: Entity = None,
    tracking: Tracking = "auto",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Check every trial of a sweep, then create it, and print what its agents need.

    Nothing is trained before an agent is started.
    """
    from scaling_lab.localserver import find_server
    from scaling_lab.studies.sweep_file import read_sweep
    from scaling_lab.studies.sweeps import wandb_server

    mode, store = _mode(tracking), store or DEFAULT_STORE
    checked = read_sweep(file)
    for note in (*checked.notes, *_notes(checked.configs)):
        print(f"note: {note}", file=sys.stderr)
    stays = mode == "online" or find_server(store) is not None
    with wandb_server(mode, store) as server:
        path = server.create(checked.content, project or checked.project, entity or checked.entity)
        content = {
            "sweep": str(path),
            "trials": len(checked.configs),
            "agent": f"wandb agent {path}",
            "address": server.address(path),
            "environment": dict(server.variables),
        }
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo(_created_text(content))
    if not stays:
        print(f"before agents are started: scaling-lab server --store {store}", file=sys.stderr)


@app.command()
def status(
    sweep: Sweep,
    project: Project = None,
    entity: Entity = None,
    tracking: Tracking = "auto",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Print how far each trial of a sweep is, by size and seed."""
    from scaling_lab.history.remote import opened
    from scaling_lab.studies.sweep_status import sweep_status
    from scaling_lab.studies.sweeps import SweepPath, split_path

    named_entity, named_project, id_ = split_path(sweep)
    project = named_project or project or DEFAULT_PROJECT
    with opened(project, named_entity or entity, _mode(tracking), store) as source:
        found = sweep_status(source, SweepPath(source.entity, project, id_))
    typer.echo(json.dumps(found, indent=2) if as_json else _status_text(found))


@app.command()
def stop(
    sweep: Sweep, project: Project = None, entity: Entity = None, tracking: Tracking = "auto", store: Store = None
) -> None:
    """Hand out no more trials; those that run go on to their end."""
    _change("stop", sweep, project, entity, tracking, store)


@app.command()
def pause(
    sweep: Sweep, project: Project = None, entity: Entity = None, tracking: Tracking = "auto", store: Store = None
) -> None:
    """Hand out no more trials for now; those that run go on to their end."""
    _change("pause", sweep, project, entity, tracking, store)


@app.command()
def resume(
    sweep: Sweep, project: Project = None, entity: Entity = None, tracking: Tracking = "auto", store: Store = None
) -> None:
    """Hand out trials of a paused, stopped or cancelled sweep again."""
    _change("resume", sweep, project, entity, tracking, store)


@app.command()
def cancel(
    sweep: Sweep, project: Project = None, entity: Entity = None, tracking: Tracking = "auto", store: Store = None
) -> None:
    """Hand out no more trials, and have those that run stop; each writes a checkpoint."""
    _change("cancel", sweep, project, entity, tracking, store)


def _change(
    change: str, sweep: str, project: str | None, entity: str | None, tracking: str, store: Path | None
) -> None:
    from scaling_lab.history.remote import require_store
    from scaling_lab.studies.sweep_changes import change_sweep
    from scaling_lab.studies.sweeps import SweepPath, split_path, wandb_server

    named_entity, named_project, id_ = split_path(sweep)
    mode, store = _mode(tracking), store or DEFAULT_STORE
    if mode == "local":
        require_store(store)
    with wandb_server(mode, store) as server:
        entity = named_entity or entity or str(server.api.default_entity)
        path = SweepPath(entity, named_project or project or DEFAULT_PROJECT, id_)
        typer.echo(change_sweep(server, path, change))


def _mode(tracking: str) -> "ServerMode":
    """Which server `--tracking` means. Raises UsageError where it means none."""
    from scaling_lab.tracking.wandb_run import has_api_key

    mode = reading_mode(tracking)
    if mode == "auto":
        return "online" if has_api_key() else "local"
    return mode


def _notes(configs: "tuple[RunConfig, ...]") -> list[str]:
    from scaling_lab.studies.lints import lint

    return [str(found) for found in lint([_planned(config) for config in configs])]


def _planned(config: "RunConfig") -> "PlannedRun":
    """A run with its steps, where its data are at hand: nothing is prepared for a note."""
    from scaling_lab.data.configured import default_data_dir, open_configured
    from scaling_lab.planning.ladder import planned_run
    from scaling_lab.studies.lints import PlannedRun
    from scaling_lab.training.plan import plan_run

    if not (config.data.dir or default_data_dir()).is_dir():
        return PlannedRun(config)
    return planned_run(config, plan_run(config, open_configured(config.data)))


def _created_text(content: dict[str, Any]) -> str:
    trials = content["trials"]
    return "\n".join(
        [
            f"sweep {content['sweep']}: {trials} {'trial' if trials == 1 else 'trials'}",
            f"address: {content['address']}",
            f"agent: {content['agent']}",
            *(f"export {name}={value}" for name, value in content["environment"].items()),
        ]
    )


def _status_text(found: dict[str, Any]) -> str:
    """A table, a trial a line, after a line on the whole."""
    columns = [*found["parameters"], "state", "step", "loss", "val loss", "run"]
    rows = [
        [*(_cell(trial["parameters"][name]) for name in found["parameters"]), *_cells(trial)]
        for trial in found["trials"]
    ]
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [columns, *rows]]
    done = sum(trial["state"] == "finished" for trial in found["trials"])
    given_up = sum(trial["state"] == "given up" for trial in found["trials"])
    advice = (
        f"{given_up} given up: the command ended before it made a run, each time, and its agent printed why; mend "
        f"that, then `scaling-lab sweep resume {found['sweep']}` and start an agent"
    )
    return "\n".join(
        [
            f"sweep {found['sweep']}: {found['state']}, {done} of {len(rows)} trials finished",
            *(line.rstrip() for line in lines),
            *([advice] if given_up else []),
        ]
    )


def _cells(trial: dict[str, Any]) -> list[str]:
    step = f"{trial['step'] or 0:,}/{trial['steps']:,}" if trial["steps"] else ""
    return [trial["state"], step, _cell(trial["loss"], ".4f"), _cell(trial["val_loss"], ".4f"), trial["run"] or ""]


def _cell(value: Any, form: str = "") -> str:
    return "" if value is None else format(value, form) if isinstance(value, int | float) else str(value)
