"""`scaling-lab train --size xl`: train one run, or go on with it; `--dry-run` says what it would cost."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.run_options import RunOptions, takes_run_options

if TYPE_CHECKING:
    from scaling_lab.config import RunConfig
    from scaling_lab.history.runs import RunRecord
    from scaling_lab.training.distributed import World

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@takes_run_options
def train(
    options: RunOptions,
    branch_at: Annotated[
        str | None,
        typer.Option(
            "--branch-at",
            metavar="SHARES",
            help="Train runs of several lengths from one trunk, as 0.25,0.5,1 of the steps; sets recipe.schedule=wsd.",
        ),
    ] = None,
    shard: Annotated[
        bool,
        typer.Option("--shard", help="Under torchrun: each process keeps a part of the model; sets machine.shard."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results (or the plan) as pure JSON.")] = False,
) -> None:
    """Train one size of the ladder, or go on with a run that was interrupted.

    Results are in outputs/<run>/: best_model.pt, training_results.json, metrics.json, metrics.jsonl, config.yaml.
    """
    if shard:
        options = options.with_override("machine.shard", "true", "command line --shard")
    runs = [options.resolve().config] if branch_at is None else _branches(options, branch_at)
    if dry_run:
        plans = [_plan(config) for config in runs]
        typer.echo(_as_json(plans, branch_at) if as_json else "\n\n".join(map(_as_text, plans)))
        return
    from scaling_lab.training.distributed import World

    with World.join(runs[0].machine.shard) as world:
        records = [
            _train(config, trunk, world, quiet=as_json) for trunk, config in zip([None, *runs], runs, strict=False)
        ]
    if world.leads and as_json:
        typer.echo(_as_json([record.results for record in records if record], branch_at))


def _as_json(contents: list[dict[str, Any]], branch_at: str | None) -> str:
    """One object, or a list where several runs were asked for."""
    return json.dumps(contents if branch_at is not None else contents[0], indent=2)


def _branches(options: RunOptions, branch_at: str) -> "list[RunConfig]":
    from scaling_lab.config import Override
    from scaling_lab.data.configured import open_configured
    from scaling_lab.training.branches import branches_of, read_fractions

    fractions = read_fractions(branch_at)
    config = options.resolve(Override("recipe.schedule", "wsd", "command line --branch-at")).config
    return branches_of(config, open_configured(config.data), fractions)


def _train(config: "RunConfig", trunk: "RunConfig | None", world: "World", quiet: bool) -> "RunRecord | None":
    """Train one run, from where a shorter one's decay began if there is one; its record, where this process leads."""
    from scaling_lab.tracking.results import error_kept
    from scaling_lab.training.branches import begin_from
    from scaling_lab.training.loop import follow

    with error_kept(config.run_dir):
        if not world.leads:
            follow(config, world)
            return None
        if trunk is not None:
            begin_from(trunk, config)
        record = _led(config, world)
    if not quiet:
        _tell(record)
    return record


def _tell(record: "RunRecord") -> None:
    results = record.results
    bits = results.get("bits_per_character")
    typer.echo(
        f"{record.name}: validation loss {results['final_val_loss']:.4f} nats a token"
        + (f", {bits:.3f} bits a character" if bits is not None else "")
        + f"; results in {record.folder}"
    )
    if results["wandb_mode"] == "offline":
        print(f"to have it in W&B: wandb sync {record.folder}/wandb/latest-run", file=sys.stderr)


def _led(config: "RunConfig", world: "World") -> "RunRecord":
    """Train as the process that speaks: warnings first, then how far it is."""
    from scaling_lab.commands.progress import RunProgress
    from scaling_lab.data.configured import open_configured
    from scaling_lab.training.loop import train as train_run
    from scaling_lab.training.plan import plan_run

    # The SDK's own lines would run through the progress display.
    os.environ.setdefault("WANDB_SILENT", "true")
    dataset = open_configured(config.data)
    for warning in (*dataset.warnings, *plan_run(config, dataset).notes()):
        print(f"warning: {warning}", file=sys.stderr)
    with RunProgress(config.run_name) as progress:
        return train_run(config, dataset, progress.watch, world)


def _plan(config: "RunConfig") -> dict[str, Any]:
    from scaling_lab.data.configured import open_configured
    from scaling_lab.training.device import choose_machine
    from scaling_lab.training.plan import plan_run

    dataset = open_configured(config.data)
    plan = plan_run(config, dataset)
    machine = choose_machine(config.machine)
    seconds = plan.estimated_seconds(machine.peak_flops_per_second)
    return {
        "name": config.run_name,
        "ladder": config.ladder,
        "size": config.size,
        "model": config.model.model_dump() | {"head_dim": config.model.head_width},
        **plan.to_dict(),
        "estimated_seconds": seconds,
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint, "vocab_size": dataset.vocab_size},
        "machine": machine.to_dict(),
        "notes": plan.notes(),
    }


def _as_text(content: dict[str, Any]) -> str:
    from scaling_lab.commands.progress import duration

    model, machine, data = content["model"], content["machine"], content["data"]
    counts = content["parameters"]
    rows = {
        "run": f"{content['name']}: d_model {model['d_model']}, {model['n_layers']} layers, "
        f"{model['n_heads']} heads of width {model['head_dim']}, d_ff {model['d_ff']}",
        "data": f"{data['name']} ({data['fingerprint']}), {data['vocab_size']} token ids",
        "parameters": f"{counts['total']:,} total, {counts['non_embedding']:,} non-embedding, "
        f"{counts['matmul']:,} matmul",
        "steps": f"{content['n_steps']:,} of {content['batch_size_tokens']:,} tokens = {content['tokens']:,} tokens, "
        f"{content['epochs']:.2f} epochs",
        "flops": f"{content['flops_per_token']:.4g} a token, {content['total_flops']:.4g} in all",
        "memory": f"about {content['memory_bytes'] / 2**30:.1f} GiB, "
        f"{content['micro_batch_tokens']:,} tokens a micro-batch",
        "time": f"about {duration(content['estimated_seconds'])} at 40 % of this machine's "
        f"{machine['peak_flops_per_second'] / 1e9:,.0f} GFLOP/s ({machine['precision']}, {machine['device']})",
    }
    lines = [f"{name:<11} {text}" for name, text in rows.items()]
    return "\n".join(lines + [f"{'note':<11} {note}" for note in content["notes"]])
