"""`scaling-lab predict --size xl --freeze`: what a study's law says of a size before it is trained."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.chosen_runs import choose_runs
from scaling_lab.commands.output_paths import written_to
from scaling_lab.commands.pull_options import Entity, Filter, Group, Project, Store, Sweep, Tracking
from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.studies.analysis import StudyAnalysis

app = typer.Typer(add_completion=False, rich_markup_mode=None)

USUAL_FOLDER = Path("outputs/scaling_study")


@app.command()
def predict(
    size: Annotated[str | None, typer.Option(help="A size of the study's ladder.")] = None,
    n: Annotated[str | None, typer.Option("-n", "--parameters", metavar="N", help="Or total parameters, as 100M.")] = (
        None
    ),
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Write it down with time and hash; the report scores it later.")
    ] = False,
    results_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"A study's folder, where it is written down too. Absent: {USUAL_FOLDER}."),
    ] = None,
    project: Project = None,
    entity: Entity = None,
    sweep: Sweep = None,
    group: Group = None,
    filters: Filter = [],  # noqa: B006 - Typer's own way; nobody writes to it
    tracking: Tracking = "auto",
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the prediction as pure JSON.")] = False,
) -> None:
    """Predict the loss of a size that isn't trained yet; refuse where the law isn't identified.

    With --freeze the prediction can't be changed afterwards unseen: train that size, and the report says how it did.
    """
    runs = choose_runs(results_dir, USUAL_FOLDER, project, entity, sweep, group, filters, tracking, store)
    from scaling_lab.studies.analysis import analyse
    from scaling_lab.studies.foretelling import foretell
    from scaling_lab.studies.foretelling import freeze as write_down

    analysis = analyse(*runs.read())
    wanted = _parameters(size, n, analysis)
    foretold = foretell(analysis, wanted, size, datetime.now(UTC).isoformat(timespec="seconds"))
    interval = f"{100 * foretold.confidence:.3g} % interval of one run {foretold.low:.4f} to {foretold.high:.4f}"
    lines = [f"{size or n}: N = {wanted:,.0f}, loss {foretold.loss:.4f}, {interval}"]
    if freeze:
        with written_to(runs.folder, "--results-dir"):
            path = write_down(runs.folder, foretold)
        lines.append(f"written down in {path}: sha256 {foretold.sha256}")
    typer.echo(json.dumps(asdict(foretold), indent=2) if as_json else "\n".join(lines))


def _parameters(size: str | None, n: str | None, analysis: "StudyAnalysis") -> float:
    """Total parameters of what was asked for."""
    from scaling_lab.laws.table import number_of

    if (size is None) == (n is None):
        raise UsageError("command line: give --size, as xl, or --parameters, as 100M")
    if n is not None:
        number = number_of(n)
        if number is None or not 1 <= number < 1e18:
            raise UsageError(f"command line --parameters {n}: give a number of parameters, as 100M")
        return number
    if not analysis.runs:
        raise UsageError(f"command line --size {size}: there are no complete runs to predict from")
    from scaling_lab.config import load_config
    from scaling_lab.model.cost import count_parameters

    first = analysis.runs[0]
    config = load_config(size=size, ladder=first.ladder, environ={})
    return float(count_parameters(config.model, int(first.results["data"]["vocab_size"])).total)
