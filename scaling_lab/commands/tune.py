"""`scaling-lab tune --project music-scaling --sweep ID`: how the best learning rate falls with size."""

import json
from pathlib import Path
from typing import Annotated

import typer

from scaling_lab.commands.chosen_runs import choose_runs
from scaling_lab.commands.pull_options import Entity, Filter, Group, Project, Store, Sweep, Tracking

app = typer.Typer(add_completion=False, rich_markup_mode=None)

USUAL_FOLDER = Path("outputs")


@app.command()
def tune(
    results_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help=f"A folder with runs in it. Absent: {USUAL_FOLDER}.")
    ] = None,
    project: Project = None,
    entity: Entity = None,
    sweep: Sweep = None,
    group: Group = None,
    filters: Filter = [],  # noqa: B006 - Typer's own way; nobody writes to it
    tracking: Tracking = "auto",
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as pure JSON.")] = False,
) -> None:
    """Find each size's best learning rate and how it falls with size, from runs such as sweeps/learning-rate.yaml's.

    A best rate counts only between two worse ones, and a law takes three sizes; else what to train is said.
    """
    runs = choose_runs(results_dir, USUAL_FOLDER, project, entity, sweep, group, filters, tracking, store)
    from scaling_lab.studies.tuning import tune as tuned

    found = tuned(*runs.read())
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    from scaling_lab.laws.learning_rate import refusal, told
    from scaling_lab.laws.wording import counted

    typer.echo("\n".join(told(each) for each in found.found))
    typer.echo(found.law.sentence() if found.law else refusal(found.found))
    tried = {each.name for each in found.found}
    for size, rate in found.rates.items():
        typer.echo(f"  {size:<7} --learning-rate {rate:.2g}" + ("" if size in tried else "  beyond the sizes tried"))
    if found.left_out:
        typer.echo(f"Left out: {counted(len(found.left_out), 'run')}; --json says why.")
