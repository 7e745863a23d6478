"""Every way to get a configuration wrong, and the line that says so: place, field, problem, fix; exit code 2."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cli_in_process import CommandLine


@dataclass(frozen=True)
class Wrong:
    """A wrong configuration, and the line expected on stderr: it begins with place and field, and holds the words."""

    place: str
    key: str
    words: str
    yaml: str | None = None
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


def _file(yaml: str, place: str, key: str, words: str) -> Wrong:
    """A file that is wrong where it says; `size` is given on the command line."""
    return Wrong(f"run.yaml:{place}", key, words, yaml, ("--size", "tiny"))


def _typed(arguments: str, place: str, key: str, words: str) -> Wrong:
    return Wrong(f"command line {place}", key, words, arguments=("--size=tiny", *arguments.split()))


def _variable(name: str, value: str, key: str, words: str) -> Wrong:
    return Wrong(f"environment {name}", key, words, arguments=("--size", "tiny"), environ={name: value})


WRONG = {
    # A file
    "misspelt key": _file("model:\n  n_head: 4\n", "2:3", "model.n_head", "did you mean n_heads?"),
    "dash for underscore": _file(
        "recipe:\n  learning-rate: 1\n", "2:3", "recipe.'learning-rate'", "did you mean learning_rate?"
    ),
    "key without its section": _file("learning_rate: 1e-3\n", "1:1", "learning_rate", "belongs under recipe"),
    "key in another section": _file("model:\n  seed: 1\n", "2:3", "model.seed", "seed belongs at the top level"),
    "key with a dot": _file(
        "recipe.learning_rate: 1e-3\n",
        "1:1",
        "'recipe.learning_rate'",
        "write `recipe:`, and `learning_rate:` indented",
    ),
    "misspelt section": _file("modle:\n  d_model: 64\n", "1:1", "modle", "did you mean model?"),
    "key like none": _file("model:\n  zzz: 1\n", "2:3", "model.zzz", "model takes d_model, n_layers, n_heads"),
    "section with a value": _file("model: 3\n", "1:1", "model", "give its keys under it (d_model,"),
    "value with keys": _file("seed:\n  a: 1\n", "1:1", "seed", "takes one value; give a whole number from 0"),
    "list for one value": _file("seed: [1, 2]\n", "1:1", "seed", "is a list, but takes one value"),
    "empty value": _file(
        "model:\n  d_model:\n", "2:3", "model.d_model", "is empty; give a whole number from 8 to 65,536"
    ),
    "word for a number": _file(
        "model:\n  d_model: wide\n", "2:3", "model.d_model", "'wide' is not a whole number; give a whole number from 8"
    ),
    "true for a number": _file("seed: true\n", "1:1", "seed", "true is not a number; give a whole number"),
    "fraction for a whole number": _file("seed: 2.5\n", "1:1", "seed", "2.5 is not a whole number"),
    "infinite whole number": _file("seed: .inf\n", "1:1", "seed", "inf is not a whole number"),
    "number with commas": _file(
        "recipe:\n  batch_size_tokens: 512,000\n", "2:3", "recipe.batch_size_tokens", "(write it 512_000)"
    ),
    "number in quotes": _file(
        "recipe:\n  learning_rate: '3e-4'\n",
        "2:3",
        "recipe.learning_rate",
        "take off the quotes); give a number above 0",
    ),
    "not a number": _file("recipe:\n  beta1: .nan\n", "2:3", "recipe.beta1", "give a number from 0, below 1"),
    "too small": _file(
        "model:\n  d_model: 4\n", "2:3", "model.d_model", "4 is too small; give a whole number from 8 to 65,536"
    ),
    "too large": _file(
        "recipe:\n  grad_clip: 1e9\n", "2:3", "recipe.grad_clip", "too large; give a number above 0, at most 1,000,000"
    ),
    "number for a name": _file(
        "name: 2024\n", "1:1", "name", "2024 is read as a number (put it in quotes if it is text)"
    ),
    "name of a folder elsewhere": _file("name: ../x\n", "1:1", "name", "give 1 to 100 letters, digits"),
    "unknown word": _file("tracking:\n  mode: off\n", "2:3", "tracking.mode", "'off' is not known; give one of auto,"),
    "almost a word": _file("machine:\n  device: CUDA\n", "2:3", "machine.device", "did you mean cuda?"),
    "empty folder name": _file("data:\n  dir: ' '\n", "2:3", "data.dir", "is empty; give a folder, or leave it out"),
    "too many tags": _file(
        f"tracking:\n  tags: [{', '.join('t' * 21)}]\n", "2:3", "tracking.tags", "holds too many words; give at most 20"
    ),
    "a long tag": _file(
        f"tracking:\n  tags: {'t' * 65}\n", "2:3", "tracking.tags", "is too long; give at most 20 words"
    ),
    "heads that do not divide": _file(
        "model:\n  n_heads: 7\n", "2:3", "model.n_heads", "7 does not divide d_model 128; give head_dim"
    ),
    "odd heads": _file(
        "model:\n  head_dim: 7\n", "2:3", "model.head_dim", "is odd, and rotary positions turn pairs; give"
    ),
    "less than a batch": _file(
        "recipe:\n  tokens: 1000\n", "2:3", "recipe.tokens", "less than one batch of 512,000 (batch_size_tokens)"
    ),
    "warmup to the end": _file("recipe:\n  warmup_fraction: 1\n", "2:3", "recipe.warmup_fraction", "below 1"),
    "id without vocabulary": _file(
        "data:\n  bos_id: 3\n", "2:3", "data.bos_id", "nothing without vocab_size; give both"
    ),
    "id beyond the vocabulary": _file(
        "data: {vocab_size: 5, eos_id: 5}\n", "1:23", "data.eos_id", "not below vocab_size 5; give an id from 0 to 4"
    ),
    "one id for two": _file(
        "data: {vocab_size: 5, bos_id: 1, eos_id: 1}\n", "1:34", "data.eos_id", "also bos_id, and an end must differ"
    ),
    "duplicate key": _file("seed: 1\nseed: 2\n", "2:1", "seed", "given twice, first on line 1; keep one of the two"),
    "tab": _file("model:\n\td_model: 64\n", "2:1", "syntax", "a tab where YAML wants spaces; indent with spaces"),
    "list on top": _file("- size: tiny\n", "1:1", "file", "not a mapping at its top level; write `key: value` lines"),
    "python object": _file("seed: !!python/object:os.system x\n", "1:7", "seed", "is a tag; write a plain value"),
    "no size anywhere": Wrong(
        "run.yaml", "size", "is missing; give --size with one of tiny, small, medium, large, xl", "seed: 1\n"
    ),
    "unknown size": Wrong("run.yaml:1:1", "size", "(did you mean tiny?); give one of tiny, small,", "size: tinny\n"),
    "unknown ladder": Wrong(
        "run.yaml:1:1", "ladder", "(did you mean mini?); give one of full, mini", "ladder: minni\nsize: xl\n"
    ),
    # The command line
    "no size typed": Wrong(
        "command line", "size", "is missing; give --size with one of tiny, small, medium, large, xl"
    ),
    "typed size": Wrong("command line --size", "size", "did you mean xl?", arguments=("--size", "xxl")),
    "typed word": _typed("--tokens many", "--tokens", "recipe.tokens", "'many' is not a whole number; give a whole"),
    "typed seed": _typed("--seed=-1", "--seed", "seed", "-1 is too small; give a whole number from 0 to 2,147,483,647"),
    "typed rate": _typed(
        "--learning_rate=0", "--learning-rate", "recipe.learning_rate", "give a number above 0, at most 1"
    ),
    "typed nothing": _typed("--name=", "--name", "name", "is empty; give 1 to 100 letters"),
    "typed mode": _typed(
        "--tracking ofline", "--tracking", "tracking.mode", "(did you mean offline?); give one of auto"
    ),
    "free key": _typed("-o recipe.lr=1", "-o recipe.lr", "recipe.lr", "no such key; recipe takes batch_size_tokens"),
    "free section": _typed("-o reciep.epochs=1", "-o reciep.epochs", "reciep.epochs", "epochs belongs under recipe"),
    "free without value": _typed("-o seed", "-o seed", "seed", "has no value; write seed=value"),
    "free list": _typed(
        "-o tracking.tags=[a", "-o tracking.tags", "tracking.tags", "is no list; give at most 20 words"
    ),
    "width typed, heads from the preset": _typed(
        "-o model.d_model=129", "-o model.d_model", "model.n_heads", "2 does not divide d_model 129; give head_dim"
    ),
    "truth value": _typed(
        "-o tracking.log_dataset_text=1",
        "-o tracking.log_dataset_text",
        "tracking.log_dataset_text",
        "1 is neither true nor false; give true or false",
    ),
    # The environment
    "wandb mode": _variable("WANDB_MODE", "shared", "tracking.mode", "one of auto, online, local, offline, disabled"),
    "wandb project": _variable("WANDB_PROJECT", "my project", "tracking.project", "give 1 to 100 letters"),
    "our variable": _variable("SCALING_LAB_RECIPE__EPOCHS", "x", "recipe.epochs", "'x' is not a number; give a number"),
    "misspelt variable": _variable("SCALING_LAB_SEDE", "1", "sede", "did you mean seed?"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_configuration_gets_place_field_and_fix(
    wrong: Wrong, scaling_lab: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wrong.environ.items():
        monkeypatch.setenv(name, value)
    if wrong.yaml is not None:
        (folder / "run.yaml").write_text(wrong.yaml)
    file = ["--config", "run.yaml"] if wrong.yaml is not None else []
    ended = scaling_lab("config", "show", *file, *wrong.arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    (line,) = ended.err.splitlines()
    assert line.startswith(f"{wrong.place}: {wrong.key}: ")
    assert wrong.words in line


def test_all_faults_are_listed_in_the_order_of_the_file(scaling_lab: CommandLine, folder: Path) -> None:
    text = "size: tiny\nmodel:\n  n_head: 2\n  d_model: wide\nrecipe:\n  learning_rate: 7\n  epochs: never\n"
    (folder / "run.yaml").write_text(text)
    ended = scaling_lab("config", "show", "--config", "run.yaml", "--seed", "x")
    places = [line.split(": ")[0] for line in ended.err.splitlines()]
    assert places == ["run.yaml:3:3", "run.yaml:4:3", "run.yaml:7:3", "command line --seed", "run.yaml:6:3"]


def test_faults_beyond_a_screenful_are_counted(scaling_lab: CommandLine, folder: Path) -> None:
    (folder / "run.yaml").write_text("size: tiny\n" + "".join(f"key{n}: 1\n" for n in range(50)))
    lines = scaling_lab("config", "validate", "run.yaml").err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more"


def test_epochs_that_tokens_would_silence_are_a_fault(scaling_lab: CommandLine, folder: Path) -> None:
    (folder / "run.yaml").write_text("size: tiny\nrecipe:\n  tokens: 5_120_000\n")
    ended = scaling_lab("config", "show", "--config", "run.yaml", "--epochs", "2")
    assert ended.code == 2
    assert "has no effect while recipe.tokens is given (run.yaml:3:3); add -o recipe.tokens=null" in ended.err
    freed = scaling_lab("config", "show", "--config", "run.yaml", "--epochs", "2", "-o", "recipe.tokens=null")
    assert freed.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["misspelt key", "python object", "typed word", "our variable"])
def test_a_real_process_says_the_same(name: str, folder: Path) -> None:
    wrong = WRONG[name]
    (folder / "run.yaml").write_text(wrong.yaml or "")
    command = [sys.executable, "-m", "scaling_lab", "config", "show", "--config", "run.yaml", *wrong.arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | wrong.environ, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"{wrong.place}: {wrong.key}: ")
    assert wrong.words in ended.stderr
    assert "Traceback" not in ended.stderr
