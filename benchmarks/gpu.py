"""One GPU: is it right, what could it do, and what does training make of it? In under nine minutes on an H200.

    python benchmarks/gpu.py --data-dir DIR [--seconds N] [--sizes tiny,xl] [--out FILE.json]

First losses and gradients of a small model, each way that a GPU may work them out, beside a CPU's in float64. Then the
ceiling, a product of large matrices in the precision of training. Then every size of the ladder, as `scaling-lab train`
takes its steps, at the guide's 5,000 tokens a sequence and 524,288 a step: compiled, a step ahead of what is told.
Without a GPU it tries itself on the CPU, for which `--ladder mini --batch-size-tokens 8192` is about right.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from scaling_lab.config import resolve_config
from scaling_lab.config.schema import MachineConfig, ModelConfig, RunConfig
from scaling_lab.data.batches import Batch
from scaling_lab.data.configured import open_configured
from scaling_lab.errors import ScalingLabError
from scaling_lab.model import cost
from scaling_lab.model.transformer import Transformer
from scaling_lab.training.allocator import restart_with_fast_allocator
from scaling_lab.training.compiled import compile_blocks
from scaling_lab.training.device import Machine, Precision, choose_machine
from scaling_lab.training.distributed import World
from scaling_lab.training.learner import Learner, StepTaken
from scaling_lab.training.plan import plan_run

SIZES = ("tiny", "small", "medium", "large", "xl")
# Share of the ceiling that we want on an H200, by size.
GOALS = {"tiny": 0.20, "small": 0.30, "medium": 0.40, "large": 0.48, "xl": 0.50}
WARM_UP_STEPS = 3

VOCAB_SIZE = 90
# Short, long, one token, and as many more as make a few powers of two.
LENGTHS = [700, 3, 1500, 64, 1, 2048, 333]
# Of the loss, and of the gradient as one vector: fp32 rounds to 24 bits and bf16 to 8.
TOLERANCE = {"fp32": (1e-5, 1e-4), "bf16": (2e-3, 3e-2)}


@dataclass(frozen=True)
class Timed:
    """What one size gave; figures of a step are medians."""

    size: str
    parameters: int
    n_steps: int
    tokens_per_second: float
    slowest: float
    fastest: float
    mfu: float
    micro_batches: int
    micro_batch_tokens: int
    peak_bytes: int
    first_steps_seconds: float


def gradient(model: Transformer, batches: list[Batch], machine: Machine) -> tuple[float, torch.Tensor]:
    """Loss in nats a target, and the gradient of all weights as one vector in float64."""
    n_targets = sum(batch.n_targets for batch in batches)
    model.zero_grad()
    total = 0.0
    for batch in batches:
        batch = batch.to(machine.device)
        with machine.autocast():
            loss = model.loss(batch.tokens_M, batch.targets_M, batch.lengths) / n_targets
        loss.backward()
        total += loss.item()
    grads = [weight.grad.flatten().double().cpu() for weight in model.parameters() if weight.grad is not None]
    return total, torch.cat(grads)


def check(machine: Machine) -> list[str]:
    """Each way beside float64 on a CPU; what is further off than it may be."""
    tokens_M = torch.randint(VOCAB_SIZE, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0))
    whole = Batch(tokens_M, tokens_M.roll(-1), LENGTHS)
    config = ModelConfig(d_model=256, n_layers=3, n_heads=4, d_ff=1024)
    exact = choose_machine(MachineConfig(device="cpu", precision="fp32"))
    expected_loss, expected = gradient(Transformer(config, VOCAB_SIZE).double(), [whole], exact)
    ways: dict[str, tuple[Precision, list[Batch], bool]] = {
        "fp32, piece by piece": ("fp32", [whole], False),
        "bf16": ("bf16", [whole], False),
        "bf16, even micro-batches": ("bf16", whole.even_micro_batches(2), False),
    }
    if machine.on_gpu:
        ways["bf16, even micro-batches, compiled"] = ("bf16", whole.even_micro_batches(2), True)
    wrong = []
    print("| way | loss, relative error | gradient, relative error |\n| --- | ---: | ---: |")
    for name, (precision, batches, compiled) in ways.items():
        model = Transformer(config, VOCAB_SIZE).to(machine.device)
        if compiled:
            compile_blocks(model)
        taken = Machine(machine.device, precision, machine.threads, machine.processor, machine.peak_flops_per_second)
        loss, grad = gradient(model, batches, taken)
        errors = abs(loss / expected_loss - 1), ((grad - expected).norm() / expected.norm()).item()
        print(f"| {name} | {errors[0]:.1e} | {errors[1]:.1e} |", flush=True)
        if any(error > most for error, most in zip(errors, TOLERANCE[precision], strict=True)):
            wrong.append(name)
    print()
    return wrong


def steps_of(learner: Learner, seconds: float) -> list[StepTaken]:
    """Steps as training takes them, a GPU's one ahead: those that warm up, five more, and on until the time is up."""
    taken: list[StepTaken] = []
    end, step = time.monotonic() + seconds, 0
    while step < WARM_UP_STEPS + 5 or time.monotonic() < end:
        learner.begin_step(step % learner.plan.n_steps, lambda: None)
        taken += learner.steps_taken()
        step += 1
    return [*taken, *learner.steps_taken(all_of_them=True)]


def timed(config: RunConfig, machine: Machine, seconds: float) -> Timed:
    """Train one size for about so many seconds, after it has warmed up."""
    if machine.on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    dataset = open_configured(config.data)
    plan = plan_run(config, dataset, machine.micro_batch_bytes())
    learner = Learner(config, dataset, plan, machine, World.alone())
    steps = steps_of(learner, seconds)
    micro_batches = learner.micro_batches(learner.stream.batch(0))
    warm = steps[WARM_UP_STEPS:]
    speeds = sorted(plan.batch_size_tokens / step.seconds for step in warm)
    mfus = [
        cost.flops_of_pieces(config.model, dataset.vocab_size, step.lengths)
        / step.seconds
        / machine.peak_flops_per_second
        for step in warm
    ]
    return Timed(
        config.size,
        plan.parameters.total,
        len(warm),
        statistics.median(speeds),
        speeds[0],
        speeds[-1],
        statistics.median(mfus),
        len(micro_batches),
        len(micro_batches[0].tokens_M),
        torch.cuda.max_memory_allocated() if machine.on_gpu else 0,
        sum(step.seconds for step in steps[:WARM_UP_STEPS]),
    )


def main() -> int:
    restart_with_fast_allocator()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="a prepared corpus")
    parser.add_argument("--ladder", default="full")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--sequence-length", type=int, default=5000)
    parser.add_argument("--batch-size-tokens", type=int, default=524_288)
    parser.add_argument("--seconds", type=float, default=25, help="for each size, compiling included")
    parser.add_argument("--out", type=Path, help="all figures as JSON")
    options = parser.parse_args()

    begin = time.monotonic()
    machine = choose_machine(MachineConfig())
    print(f"{machine.processor}, torch {torch.__version__}, {machine.precision}\n", flush=True)
    wrong = check(machine)
    for name in wrong:
        print(f"error: {name}: further from float64 than {TOLERANCE}", file=sys.stderr)
    print(f"ceiling {machine.peak_flops_per_second / 1e12:,.1f} TFLOP/s\n")
    print(
        "| size | parameters | tokens/s, median | slowest to fastest (steps) | MFU | goal | micro-batches | peak GB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for size in options.sizes.split(","):
        values = {
            "ladder": options.ladder,
            "size": size,
            "data.dir": options.data_dir,
            "data.sequence_length": options.sequence_length,
            "recipe.batch_size_tokens": options.batch_size_tokens,
            "recipe.tokens": 1000 * options.batch_size_tokens,
        }
        config = resolve_config(overrides=[f"{key}={value}" for key, value in values.items()]).config
        try:
            result = timed(config, machine, options.seconds)
        except (ScalingLabError, torch.OutOfMemoryError) as error:
            print(f"| {size} | | {type(error).__name__}: {str(error).splitlines()[0][:200]} | | | | | |", flush=True)
            continue
        results.append(result)
        print(
            f"| {size} | {result.parameters:,} | {result.tokens_per_second:,.0f} | {result.slowest:,.0f} to "
            f"{result.fastest:,.0f} ({result.n_steps}) | {result.mfu:.1%} | {GOALS[size]:.0%} | "
            f"{result.micro_batches} x {result.micro_batch_tokens:,} | {result.peak_bytes / 1e9:.1f} |",
            flush=True,
        )
    print(f"\n{time.monotonic() - begin:.0f} s in all")
    if options.out:
        said = {"machine": machine.to_dict(), "torch": torch.__version__, "wrong": wrong}
        options.out.write_text(json.dumps(said | {"sizes": [asdict(result) for result in results]}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
