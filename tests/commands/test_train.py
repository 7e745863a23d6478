"""`scaling-lab train` as it is typed."""

import json
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus

SMALL = (
    *("--ladder", "mini", "--size", "tiny", "--data-dir", "music", "--tracking", "disabled", "--threads", "1"),
    *("--batch-size-tokens", "256", "--tokens", "2560", "-o", "data.sequence_length=64", "-o", "model.d_model=16"),
)


@pytest.fixture
def music(folder: Path) -> Path:
    return write_corpus(folder / "music")


def test_xl_dry_run_says_what_it_would_cost(scaling_lab: CommandLine, music: Path) -> None:
    ended = scaling_lab(
        "train", "--size", "xl", "--data-dir", "music", "--dry-run", "--json", "--batch-size-tokens", "1024"
    )
    assert ended.code == 0
    plan = json.loads(ended.out)
    assert plan["model"]["n_heads"] == 12
    assert plan["model"]["head_dim"] == 96
    assert plan["parameters"]["total"] > 100_000_000
    assert set(plan["parameters"]) == {"non_embedding", "total", "matmul"}
    for unit in ("flops_per_token", "total_flops", "n_steps", "tokens", "memory_bytes", "estimated_seconds"):
        assert plan[unit] > 0
    assert not Path("outputs").exists()


def test_a_dry_run_for_people_warns_of_few_steps(scaling_lab: CommandLine, music: Path) -> None:
    ended = scaling_lab("train", *SMALL, "--dry-run")
    assert ended.code == 0
    assert "10 steps are few" in ended.out


def test_training_prints_the_result_and_keeps_stdout_for_it(scaling_lab: CommandLine, music: Path) -> None:
    ended = scaling_lab("train", *SMALL, "--json")
    assert ended.code == 0
    results = json.loads(ended.out)
    assert results["state"] == "complete"
    assert "step 10/10" in ended.err


def test_training_again_is_instant_and_says_the_same(scaling_lab: CommandLine, music: Path) -> None:
    first = scaling_lab("train", *SMALL)
    again = scaling_lab("train", *SMALL)
    assert first.code == again.code == 0
    assert first.out == again.out
    assert "bits a character" in again.out
    assert "step 10/10" in first.err
    assert "/10" not in again.err


def test_sweep_style_names_are_understood(scaling_lab: CommandLine, music: Path) -> None:
    ended = scaling_lab("train", *SMALL, "--learning_rate=0.001", "--batch_size_tokens=512", "--dry_run", "--json")
    assert json.loads(ended.out)["batch_size_tokens"] == 512


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", "xxl"), "xxl"),
        (("--size", "xl", "--data-dir", "nowhere"), "nowhere"),
        (("--size", "tiny", "--device", "cuda", "--data-dir", "music", "--batch-size-tokens", "256"), "finds no GPU"),
        (("--size", "tiny", "--data-dir", "music"), "there is no step"),
        (("--size", "tiny", "--data-dir", "music", "--name", "../outside"), "name"),
    ],
)
def test_a_users_mistake_ends_with_2_and_a_fix(
    scaling_lab: CommandLine, music: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = scaling_lab("train", "--tracking", "disabled", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
