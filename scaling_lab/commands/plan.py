"""`scaling-lab plan --ladder full --hardware h200`: what every size costs, before any is trained."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.run_options import RunOptions, takes_study_options
from scaling_lab.config import SIZES, Override
from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.planning.ladder import RunCost

app = typer.Typer(add_completion=False, rich_markup_mode=None)

HERE = ("auto", "cpu")


@app.command()
@takes_study_options
def plan(
    options: RunOptions,
    hardware: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|h200|h100|a100",
            help="auto and cpu are this machine, and are measured; what a card reaches is assumed.",
        ),
    ] = "auto",
    price_per_hour: Annotated[
        float | None, typer.Option(min=0, metavar="MONEY", help="Of one machine; with it, each size's price.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="For which each size is tried here, at the least; memory is measured too.")
    ] = 12.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as pure JSON.")] = False,
) -> None:
    """Print parameters, FLOPs, memory, steps and time of every size, one after the other, and train nothing.

    On this machine each size is tried for some seconds; of a card that isn't here, its utilisation is assumed.
    """
    from scaling_lab.data.configured import open_configured
    from scaling_lab.planning.hardware import CARDS
    from scaling_lab.planning.ladder import lints_of, plan_here, plan_on

    if hardware not in (*HERE, *CARDS):
        known = ", ".join((*HERE, *CARDS))
        raise UsageError(f"command line --hardware: {hardware!r} is not known; give one of {known}")
    device = [Override("machine.device", "cpu", "command line --hardware")] if hardware == "cpu" else []
    configs = [options.resolve(*device, Override("size", size, "plan")).config for size in SIZES]
    dataset = open_configured(configs[0].data)
    if hardware in HERE:
        costs = plan_here(configs, dataset, seconds, lambda name: print(f"plan: trying {name}", file=sys.stderr))
    else:
        costs = plan_on(CARDS[hardware], configs, dataset)
    notes = [str(found) for found in lints_of(configs, costs)]
    if as_json:
        runs = [cost.to_dict(price_per_hour) for cost in costs]
        typer.echo(json.dumps({"hardware": hardware, "runs": runs, "notes": notes}, indent=2))
    else:
        typer.echo("\n".join([*_table(costs, price_per_hour), *(f"note: {note}" for note in notes)]))


def _table(costs: "list[RunCost]", price_per_hour: float | None) -> list[str]:
    """A line for each run, one for all of them, and where the figures come from."""
    price = "" if price_per_hour is None else "price"
    lines = [_line("run", "parameters", "steps", "tokens", "FLOPs", "memory", "time", price)]
    for cost in costs:
        run = cost.plan
        memory = f"{cost.memory_bytes / 2**30:.1f} GiB"
        counts = f"{run.parameters.total:,}", f"{run.n_steps:,}", f"{run.tokens:,}", f"{run.total_flops:.3g}"
        lines.append(_line(cost.name, *counts, memory, *_time_and_price(cost.seconds, price_per_hour)))
    flops, seconds = sum(cost.plan.total_flops for cost in costs), sum(cost.seconds for cost in costs)
    lines.append(_line("all", "", "", "", f"{flops:.3g}", "", *_time_and_price(seconds, price_per_hour)))
    bases = dict.fromkeys(cost.basis for cost in costs)
    if len(bases) == 1:
        return [*lines, next(iter(bases))]
    return [*lines, *(f"{cost.name}: {cost.basis}" for cost in costs)]


def _time_and_price(seconds: float, price_per_hour: float | None) -> tuple[str, str]:
    from scaling_lab.commands.progress import duration

    return duration(seconds), "" if price_per_hour is None else f"{seconds / 3600 * price_per_hour:,.2f}"


def _line(*cells: Any) -> str:
    name, *numbers = cells
    columns = zip(numbers, (14, 8, 15, 10, 10, 13, 10), strict=True)
    return f"{name:<24}{''.join(f'{number:>{width}}' for number, width in columns)}".rstrip()
