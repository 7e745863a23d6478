"""`scaling-lab fit TABLE.csv`: a law of anyone's runs, or why there is none."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.errors import DataError, UsageError

if TYPE_CHECKING:
    from scaling_lab.laws import EnvelopeFit, FormCompared, IsoFlopFit, JointLawFit, PowerLawFit, RepetitionFit, SmsFit
    from scaling_lab.laws.table import Table
    from scaling_lab.laws.verdict import Reason

    Fit = PowerLawFit | JointLawFit | IsoFlopFit | EnvelopeFit | RepetitionFit | SmsFit

NEXT_SHOWN = 3
# In the order they are shown; no law has all. a is a factor in the power law, and the exponent of N in sms.
PARAMETERS = (
    *("R*", "alpha", "beta", "a", "b", "k", "c", "E", "A", "B", "d"),
    *("k_d", "k_n", "k_u", "k_in", "exponent", "scale"),
)

_OPTIONS = {"objective": "--loss", "delta": "--delta", "resamples": "--bootstrap", "seed": "--seed"}

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class Law(StrEnum):
    """What can be fitted."""

    POWER = "power"
    JOINT = "joint"
    ISOFLOP = "isoflop"
    ENVELOPE = "envelope"
    REPETITION = "repetition"
    SMS = "sms"

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of a table."""
        return {
            Law.POWER: ("n", "loss"),
            Law.JOINT: ("n", "d", "loss"),
            Law.ISOFLOP: ("n", "c", "d", "loss"),
            Law.ENVELOPE: ("n", "c", "d", "loss"),
            Law.REPETITION: ("n", "d", "u", "loss"),
            Law.SMS: ("n", "d", "u", "loss"),
        }[self]

    @property
    def place(self) -> tuple[int, str]:
        """How many numbers say where to predict, and which."""
        return {
            Law.POWER: (1, "one size, as 100e6 or 100M"),
            Law.JOINT: (2, "a size and a number of tokens, as 1e9,20e9 or 1B,20B"),
            Law.ISOFLOP: (1, "a number of FLOPs, as 1e21"),
            Law.ENVELOPE: (1, "a number of FLOPs, as 1e21"),
            Law.REPETITION: (3, "a size, tokens read and unique tokens, as 1B,20B,2B"),
            Law.SMS: (3, "a size, tokens read and unique tokens, as 1B,20B,2B"),
        }[self]


_OF_N_AND_D = (Law.JOINT, Law.REPETITION, Law.SMS)
_USED_BY = {
    "objective": _OF_N_AND_D,
    "delta": _OF_N_AND_D,
    "resamples": _OF_N_AND_D,
    "seed": (*_OF_N_AND_D, Law.ISOFLOP),
}


class Loss(StrEnum):
    """What the fit of a law of N and D makes small."""

    HUBER = "huber"
    LAD = "lad"
    LSQ = "lsq"


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="One line a run, the columns named on the first.")],
    law: Annotated[
        Law,
        typer.Option(
            help="power: L(N) = a·N^-alpha + c. joint: L(N, D) = E + A/N^alpha + B/D^beta. isoflop: the best N for C. "
            "envelope: the same from points of whole curves. "
            "repetition: joint, where U unique tokens are read several times. sms: that from whole curves, one line a "
            "point, which rise again in the end."
        ),
    ] = Law.POWER,
    predict: Annotated[
        list[str],
        typer.Option(
            metavar="N[,D[,U]]", help="Predict the loss there; isoflop, envelope: the best size for C. May be repeated."
        ),
    ] = [],  # noqa: B006 - Typer's own way; nobody writes to it
    loss: Annotated[
        Loss | None,
        typer.Option(
            help="What a law of N and D makes small; absent, huber. lad is least absolute deviations, of joint alone."
        ),
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(help="Of huber: where it turns from squares to absolutes; absent, 1e-3 of the loss."),
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(metavar="K", min=100, help="How many resamples; otherwise 1000 of runs, sms: 200 of curves."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random numbers behind intervals; absent, 0.")] = None,
    n_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of parameters.")] = None,
    d_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of training tokens.")] = None,
    u_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="repetition, sms: the column of unique tokens.")
    ] = None,
    c_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="isoflop, envelope: the column of FLOPs; without one, they are 6·N·D."),
    ] = None,
    loss_column: Annotated[str | None, typer.Option(metavar="NAME", help="The column of losses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the fit as pure JSON.")] = False,
) -> None:
    """Fit a law to a table of runs: parameters with intervals, or a refusal that says which runs are missing.

    Columns are found by usual names (n, params, d, tokens, c, flops, loss, ...). Rows of one size are its seeds.
    """
    from scaling_lab.laws import PowerLawFit, next_runs
    from scaling_lab.laws.json_ready import json_ready
    from scaling_lab.laws.table import read_table

    places = [_place(text, law) for text in predict]
    columns = {"n": n_column, "d": d_column, "u": u_column, "c": c_column, "loss": loss_column}
    options = {"objective": loss and loss.value, "delta": delta, "resamples": bootstrap, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    _check(law, columns, given)
    runs = read_table(table)
    taken = _taken(law, runs, columns)
    found, compared = _fitted(law, runs, columns, given)
    said = {"law": law.value, "table": str(table), "columns": taken, **found.to_dict(places)}
    said["comparison"] = json_ready([asdict(form) for form in compared])
    if isinstance(found, PowerLawFit):
        said["next_runs"] = json_ready([asdict(runs) for runs in next_runs(found)])
    if as_json:
        typer.echo(json.dumps(said, indent=2))
    if not found.fitted:
        raise typer.Exit(2) if as_json else DataError(f"{table}: {found.sentence()}")
    if not as_json:
        typer.echo("\n".join(_told(said, found.reasons)))


def _check(law: Law, columns: dict[str, str | None], given: dict[str, Any]) -> None:
    """That what was asked for is this law's to do. Raises UsageError."""
    spared = [f"--{what}-column" for what, name in columns.items() if name is not None and what not in law.columns]
    spared += [_OPTIONS[name] for name in given if law not in _USED_BY[name]]
    if spared:
        raise UsageError(f"command line {spared[0]}: --law {law.value} has no use for it; leave it out")
    if not 0 < given.get("delta", 1.0) < inf:
        raise UsageError(f"command line --delta: {given['delta']} is not a positive number; give one such as 1e-3")


def _fitted(
    law: Law, table: "Table", columns: dict[str, str | None], resampled: dict[str, Any]
) -> "tuple[Fit, Sequence[FormCompared]]":
    """The law of a table, and how well other forms of it foretell the largest size.

    columns: the caller's names for them; resampled: how a law of N and D is fitted.
    """
    from scaling_lab import laws
    from scaling_lab.laws.joint.law import FLOPS_PER_PARAMETER_AND_TOKEN

    def column(what: str) -> Any:
        return table.column(what, columns[what])

    n, losses = column("n"), column("loss")
    match law:
        case Law.POWER:
            return laws.fit_power_law(n, losses), laws.compare_power_forms(n, losses)
        case Law.JOINT:
            fit = laws.fit_joint_law(n, column("d"), losses, **resampled)
            return fit, laws.compare_joint_forms(n, column("d"), losses, fit.delta)
        case Law.ISOFLOP | Law.ENVELOPE:
            told = table.find("c", columns["c"])
            c = column("c") if told else FLOPS_PER_PARAMETER_AND_TOKEN * n * column("d")
            if law is Law.ENVELOPE:
                return laws.fit_envelope(c, n, losses), ()
            return laws.fit_isoflop(c, n, losses, **resampled), ()
        case Law.REPETITION:
            fit = laws.fit_repetition(n, column("d"), column("u"), losses, **resampled)
            return fit, laws.compare_repetition_forms(n, column("d"), column("u"), losses, fit.joint.delta)
        case Law.SMS:
            fit = laws.fit_sms(n, column("d"), column("u"), losses, **resampled)
            return fit, laws.compare_curve_forms(fit)


def _taken(law: Law, table: "Table", columns: dict[str, str | None]) -> dict[str, str]:
    """Which column each number was read from."""
    found = {what: table.find(what, columns[what]) for what in law.columns}
    if law in (Law.ISOFLOP, Law.ENVELOPE):
        found.pop("d" if found["c"] else "c")
    names = [name for name in found.values() if name]
    if len(names) > len(set(names)):
        raise UsageError(f"{table.path}: column {max(names, key=names.count)!r} is read as two numbers; name others")
    return {what: name for what, name in found.items() if name}


def _place(text: str, law: Law) -> list[float]:
    from scaling_lab.laws.table import number_of

    count, wanted = law.place
    numbers = [number_of(part) for part in text.split(",")]
    place = [number for number in numbers if number is not None and 0 < number < inf]
    if not len(place) == len(numbers) == count:
        raise UsageError(f"command line --predict {text}: give {wanted}")
    return place


def _told(said: dict[str, Any], reasons: "Sequence[Reason]") -> list[str]:
    """One sentence, a table, and what to run next."""
    from scaling_lab.commands.tables import table

    rows = [["", "value", "low", "high"]]
    rows += [_row(name, said[name], "value") for name in PARAMETERS if name in said]
    if not reasons:
        rows += [_predicted(prediction) for prediction in said["predictions"]]
    columns = ", ".join(f"{what} is {name}" for what, name in said["columns"].items())
    lines = [said["sentence"], "", *table(rows), "", f"Columns: {columns}.", f"By {said['method']}."]
    lines += said.get("caveats", [])
    lines += [
        f"Left out, {budget['c']:.3g} FLOPs: {budget['problem']}."
        for budget in said.get("budgets", [])
        if budget["problem"]
    ]
    if compared := said["comparison"]:
        told = ", ".join(f"{form['form']} {100 * form['relative_error']:+.2f} %" for form in compared)
        lines.append(f"The largest size, foretold by the others: {told}.")
    elif left_out := said.get("leave_largest_out"):
        lines.append(f"The largest size, foretold by the others: {100 * left_out['mean_relative_error']:+.2f} %.")
    if reasons and said["predictions"]:
        lines.append("Nothing is predicted: the law isn't identified.")
    lines += [f"- {reason.name}: {reason.detail} {reason.cure}" for reason in reasons[1:]]
    if following := said.get("next_runs", [])[:NEXT_SHOWN]:
        lines.append("What would narrow alpha's interval, most for its cost first:")
        lines += [f"- {runs['text']}: ±{runs['half_width']:.2g}{_now(runs['now'])}" for runs in following]
    return lines


def _now(half_width: float | None) -> str:
    return "" if half_width is None else f", ±{half_width:.2g} now"


def _predicted(prediction: dict[str, Any]) -> list[str]:
    if "loss" not in prediction:
        return _row(f"best N for {prediction['c']:.3g} FLOPs", prediction, "n")
    tokens = f", {prediction['d']:.3g} tokens" if "d" in prediction else ""
    unique = f", {prediction['u']:.3g} unique" if "u" in prediction else ""
    return _row(f"loss at {prediction['n']:.3g}{tokens}{unique}", prediction, "loss")


def _row(name: str, interval: dict[str, Any], value: str) -> list[str]:
    """A name and its interval; a dash for an end that the data do not set."""
    figures = (interval[value], interval["low"], interval["high"])
    return [name, *("–" if figure is None else f"{figure:.5g}" for figure in figures)]
