"""`scaling-lab lint --ladder full`: what should be thought over before a ladder is trained."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from scaling_lab.commands.run_options import RunOptions, takes_study_options
from scaling_lab.config import SIZES, Override

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@takes_study_options
def lint(
    options: RunOptions,
    seeds: Annotated[int, typer.Option(min=1, metavar="K", help="Of each size.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as pure JSON.")] = False,
) -> None:
    """Say what a study of these settings could not show, each with its name, its reason and a way out.

    `plan` and `sweep create` say the same of theirs. Nothing is trained, and nothing is an error.
    """
    from scaling_lab.data.configured import open_configured
    from scaling_lab.planning.ladder import planned_run
    from scaling_lab.studies.lints import lint as lints_of
    from scaling_lab.training.plan import plan_run

    configs = [
        options.resolve(Override("size", size, "lint"), Override("seed", str(seed), "lint")).config
        for size in SIZES
        for seed in range(seeds)
    ]
    dataset = open_configured(configs[0].data)
    found = lints_of([planned_run(config, plan_run(config, dataset)) for config in configs])
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        typer.echo("\n".join(map(str, found)) or "Nothing to think over.")
