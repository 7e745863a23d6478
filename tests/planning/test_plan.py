"""`scaling-lab plan`: what a ladder costs, here and on a card."""

import json
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus

from scaling_lab.config import RunConfig, load_config
from scaling_lab.planning.rehearsal import rehearse

SMALL = (
    *("plan", "--ladder", "mini", "--data-dir", "music", "--batch-size-tokens", "256", "--tokens", str(256 * 20)),
    *("-o", "data.sequence_length=64", "--threads", "1", "--precision", "fp32"),
)


def config(*overrides: str) -> RunConfig:
    """Of mini-tiny, in micro-batches of 512 tokens."""
    usual = ("data.dir=music", "data.sequence_length=64", "machine.threads=1", "machine.micro_batch_tokens=512")
    return load_config(ladder="mini", size="tiny", overrides=(*usual, *overrides))


@pytest.fixture(autouse=True)
def music(folder: Path) -> None:
    write_corpus(folder / "music")


def test_a_card_is_assumed_and_said_so(scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*SMALL, "--ladder", "full", "--hardware", "h200", "--price-per-hour", "4")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].split() == ["run", "parameters", "steps", "tokens", "FLOPs", "memory", "time", "price"]
    assert [line.split()[0] for line in lines[1:7]] == [
        *(f"full-{size}-seed0" for size in ("tiny", "small", "medium", "large", "xl")),
        "all",
    ]
    assert "full-xl-seed0: assumed: 50% of 790 TFLOP/s" in lines
    assert any(line.startswith("note: few-steps: 20 steps are few") for line in lines)


def test_the_numbers_of_a_card_add_up(scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*SMALL, "--ladder", "full", "--hardware", "a100", "--price-per-hour", "2", "--json")
    runs = json.loads(ended.out)["runs"]
    for run, mfu in zip(runs, (0.2, 0.3, 0.4, 0.48, 0.5), strict=True):
        training_seconds = run["total_flops"] / (mfu * 250e12)
        assert (
            training_seconds < run["seconds"] < 4 * training_seconds
        )  # with ten evaluations of a tenth as many tokens
        assert run["price"] == pytest.approx(run["seconds"] / 3600 * 2)
    assert [run["parameters"]["total"] for run in runs] == sorted(run["parameters"]["total"] for run in runs)


@pytest.mark.slow
def test_this_machine_is_measured(scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*SMALL, "--seconds", "1", "--json")
    assert ended.code == 0, ended.err
    runs = json.loads(ended.out)["runs"]
    assert all(run["basis"].startswith("measured on ") and run["seconds"] > 0 for run in runs)
    # A process with torch in it takes more than its few weights.
    assert all(run["memory_bytes"] > 100 * 2**20 for run in runs)
    assert "price" not in runs[0]
    assert ended.err.splitlines() == [
        f"plan: trying mini-{size}-seed0" for size in ("tiny", "small", "medium", "large", "xl")
    ]
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_a_step_too_long_to_be_taken_is_measured_by_its_beginning() -> None:
    tried = rehearse(config("recipe.tokens=4194304", "recipe.batch_size_tokens=4194304"), seconds=1)
    assert tried.step_seconds > 1  # 8,192 micro-batches and more
    assert tried.peak_bytes > 0


def test_hardware_that_is_not_known_is_refused(scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*SMALL, "--hardware", "tpu")
    assert ended.code == 2
    assert "--hardware: 'tpu' is not known; give one of auto, cpu, h200, h100, a100" in ended.err


@pytest.mark.slow
def test_what_training_would_refuse_is_refused_in_its_words(scaling_lab: CommandLine) -> None:
    ended = scaling_lab(*SMALL, "--device", "cuda")
    assert ended.code == 2
    assert "machine.device: cuda was asked for and torch finds no GPU" in ended.err


@pytest.mark.slow
def test_a_run_of_a_step_or_two_is_tried_as_any() -> None:
    few = config("recipe.tokens=512", "recipe.batch_size_tokens=256", "recipe.warmup_fraction=0.9")
    assert rehearse(few, seconds=1).step_seconds > 0
