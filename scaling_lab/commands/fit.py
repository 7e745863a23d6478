"""`scaling-lab fit TABLE.csv`: a law of anyone's runs, or why there is none."""

import json
from collections.abc import Sequence
from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.errors import DataError, UsageError

if TYPE_CHECKING:
    from scaling_lab.laws import JointLawFit, PowerLawFit
    from scaling_lab.laws.verdict import Reason

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Law(StrEnum):
    """What can be fitted."""

    POWER = "power"
    JOINT = "joint"


class Loss(StrEnum):
    """What a joint law's fit makes small."""

    HUBER = "huber"
    LAD = "lad"
    LSQ = "lsq"


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="One line a run, the columns named on the first.")],
    law: Annotated[
        Law, typer.Option(help="power: L(N) = a·N^-alpha + c. joint: L(N, D) = E + A/N^alpha + B/D^beta.")
    ] = Law.POWER,
    predict: Annotated[
        list[str], typer.Option(metavar="N[,D]", help="Predict the loss there; may be given several times.")
    ] = [],  # noqa: B006 - Typer's own way; nobody writes to it
    loss: Annotated[Loss, typer.Option(help="joint: of ln L; lad is least absolute deviations.")] = Loss.HUBER,
    delta: Annotated[float, typer.Option(help="joint: where Huber's loss turns from squares to absolutes.")] = 1e-3,
    bootstrap: Annotated[int, typer.Option(metavar="K", min=1, help="joint: how many resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="joint: of the resamples.")] = 0,
    n_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of parameters.")] = None,
    d_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of training tokens.")] = None,
    loss_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of losses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the fit as pure JSON.")] = False,
) -> None:
    """Fit a law to a table of runs: parameters with intervals, or a refusal that says which runs are missing.

    Columns are found by usual names (n, params, d, tokens, loss, ...). Rows of one size are its seeds.
    """
    from scaling_lab.laws import fit_joint_law, fit_power_law
    from scaling_lab.laws.table import read_table

    read = read_table(table)
    n, losses = read.column("n", n_column), read.column("loss", loss_column)
    if law == Law.POWER:
        places = [_place(text, 1)[0] for text in predict]
        found: PowerLawFit | JointLawFit = fit_power_law(n, losses)
        said = found.to_dict(places)
    else:
        pairs = [_place(text, 2) for text in predict]
        d = read.column("d", d_column)
        found = fit_joint_law(n, d, losses, objective=loss.value, delta=delta, resamples=bootstrap, seed=seed)
        said = found.to_dict(pairs)
    said = {"law": law.value, "table": str(table), **said}
    if as_json:
        typer.echo(json.dumps(said, indent=2))
    if isnan(found.alpha.low):  # nothing was fitted
        raise typer.Exit(2) if as_json else DataError(f"{table}: {found.sentence()}")
    if not as_json:
        typer.echo("\n".join(_told(said, found.reasons)))


def _place(text: str, count: int) -> list[float]:
    from scaling_lab.laws.table import number_of

    numbers = [number_of(part) for part in text.split(",")]
    if len(numbers) != count or None in numbers or any(not number > 0 for number in numbers if number is not None):
        wanted = "one size, as 100e6 or 100M" if count == 1 else "a size and a number of tokens, as 1e9,20e9 or 1B,20B"
        raise UsageError(f"command line --predict {text}: give {wanted}")
    return [number for number in numbers if number is not None]


def _told(said: dict[str, Any], reasons: "Sequence[Reason]") -> list[str]:
    """One sentence, a table, and what to run next."""
    from scaling_lab.commands.tables import table

    parameters = [name for name in ("alpha", "beta", "a", "c", "E", "A", "B") if name in said]
    rows = [["", "value", "low", "high"]]
    rows += [[name, *(_figure(said[name][end]) for end in ("value", "low", "high"))] for name in parameters]
    if not reasons:
        rows += [[_where(one), *(_figure(one[end]) for end in ("loss", "low", "high"))] for one in said["predictions"]]
    lines = [said["sentence"], "", *table(rows), "", said["method"]]
    if said["leave_largest_out"]:
        error = said["leave_largest_out"].get("relative_error", said["leave_largest_out"].get("mean_relative_error"))
        lines.append(f"The largest size, predicted by the others: {100 * error:+.2f} %.")
    if reasons and said["predictions"]:
        lines.append("No loss is predicted: the law isn't identified.")
    lines += [f"- {reason.name}: {reason.detail} {reason.cure}" for reason in reasons[1:]]
    return lines


def _where(prediction: dict[str, Any]) -> str:
    tokens = f", {prediction['d']:.3g} tokens" if "d" in prediction else ""
    return f"loss at {prediction['n']:.3g}{tokens}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"
