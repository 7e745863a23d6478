"""`scaling-lab lint`: what a ladder could not show, by name."""

import json
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus


@pytest.fixture
def music(tmp_path: Path) -> tuple[str, ...]:
    write_corpus(tmp_path / "music")
    return ("--ladder", "mini", "--data-dir", str(tmp_path / "music"))


def test_what_a_ladder_lacks_is_told_with_its_way_out(scaling_lab: CommandLine, music: tuple[str, ...]) -> None:
    ended = scaling_lab("lint", *music, "--json")
    assert ended.code == 0
    named = {found["name"]: found["text"] for found in json.loads(ended.out)}
    assert {"few-steps", "few-seeds", "one-learning-rate", "one-amount-of-data"} <= named.keys()
    assert "a smaller batch_size_tokens gives more" in named["few-steps"]
    lines = scaling_lab("lint", *music).out.splitlines()
    assert lines == [f"{name}: {text}" for name, text in named.items()]


def test_seeds_are_no_longer_lacking_where_there_are_some(scaling_lab: CommandLine, music: tuple[str, ...]) -> None:
    assert "few-seeds" not in scaling_lab("lint", *music, "--seeds", "3").out


def test_a_warmup_longer_than_a_model_has_parameters(scaling_lab: CommandLine, music: tuple[str, ...]) -> None:
    long = ("--tokens", str(10**8), "-o", "recipe.warmup_fraction=0.1")
    assert "warmup-too-long: tiny warms up for 10M tokens" in scaling_lab("lint", *music, *long).out
