"""Sweep files: those of the project are right in every trial, and each way to get one wrong is named with its place."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_in_process import CommandLine

from scaling_lab.errors import ConfigError
from scaling_lab.studies.sweep_file import read_sweep

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
N_TRIALS = {"five-sizes": 5, "mini": 5, "seeds": 15, "learning-rate": 18, "torchrun": 5}

GOOD = """program: cli.py
method: grid
parameters:
  size:
    values: [tiny, small]
  seed:
    values: [0]
command:
  - ${env}
  - ${interpreter}
  - ${program}
  - train
  - --ladder=mini
  - ${args_no_boolean_flags}
"""


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_trial_of_a_sweep_of_ours_is_a_run_with_its_own_folder(path: Path) -> None:
    sweep = read_sweep(path)
    assert len(sweep.configs) == N_TRIALS[path.stem]
    assert len({config.run_dir for config in sweep.configs}) == len(sweep.configs)
    assert sweep.project == "music-scaling"


def test_rates_of_the_learning_rate_sweep_are_two_fold_apart() -> None:
    path = next(path for path in SWEEPS if path.stem == "learning-rate")
    rates = sorted({config.recipe.learning_rate for config in read_sweep(path).configs})
    assert len(rates) >= 5
    assert [high / low for low, high in itertools.pairwise(rates)] == pytest.approx([2] * (len(rates) - 1))


def test_fixed_words_of_the_command_reach_every_trial(folder: Path) -> None:
    (folder / "run.yaml").write_text("recipe:\n  tokens: 8192\n")
    words = "--ladder=mini\n  - -o\n  - recipe.evaluations=2\n  - --config\n  - run.yaml\n  - --batch_size_tokens=512"
    sweep = read_sweep(write(folder, GOOD.replace("--ladder=mini", words)))
    for config in sweep.configs:
        assert (config.ladder, config.recipe.evaluations, config.recipe.tokens) == ("mini", 2, 8192)
        assert config.recipe.batch_size_tokens == 512
    assert [config.size for config in sweep.configs] == ["tiny", "small"]


def test_a_random_sweep_is_tried_at_the_ends_of_its_ranges(folder: Path) -> None:
    ranges = "learning_rate:\n    distribution: log_uniform_values\n    min: 1e-4\n    max: 1e-2"
    text = GOOD.replace("method: grid", "method: random\nrun_cap: 4").replace("seed:\n    values: [0]", ranges)
    text = text.replace("--ladder=mini", "--ladder=mini\n  - --name={size}-{learning_rate}")
    rates = {config.recipe.learning_rate for config in read_sweep(write(folder, text)).configs}
    assert rates == {1e-4, 1e-2}


@dataclass(frozen=True)
class Wrong:
    """A change that makes the good file wrong, and the line expected: where, which field, and some of its words."""

    old: str
    new: str
    place: str
    field: str
    words: str


WRONG = {
    "misspelt key": Wrong("program:", "progam:", "1:1", "progam", "did you mean program?"),
    "key like none": Wrong("method: grid", "method: grid\nzzz: 1", "3:1", "zzz", "a sweep takes program, command"),
    "early_terminate": Wrong(
        "method: grid", "method: grid\nearly_terminate: {type: hyperband}", "3:1", "early_terminate", "take it out"
    ),
    "no method": Wrong("method: grid\n", "", "1:1", "method", "write method: grid"),
    "method like none": Wrong("grid", "gird", "2:1", "method", "give grid or random"),
    "bayes": Wrong("grid", "bayes", "2:1", "method", "picks trials by their results"),
    "endless random": Wrong("grid", "random", "2:1", "method", "give run_cap"),
    "cap of none": Wrong("method: grid", "method: grid\nrun_cap: 0", "3:1", "run_cap", "whole number from 1"),
    "metric of none": Wrong(
        "method: grid", "method: grid\nmetric:\n  name: val/los", "4:3", "metric.name", "give val/loss"
    ),
    "goal of none": Wrong(
        "method: grid", "method: grid\nmetric: {name: val/loss, goal: low}", "3:26", "metric.goal", "give minimize"
    ),
    "no program": Wrong("program: cli.py\n", "", "1:1", "program", "command uses it"),
    "number for a name": Wrong("method: grid", "method: grid\nname: 5", "3:1", "name", "put it in quotes"),
    "no parameters": Wrong(GOOD[GOOD.index("  size:") : GOOD.index("command:")], "", "3:1", "parameters", "is missing"),
    "misspelt parameter": Wrong("size:", "sizes:", "4:3", "parameters.sizes", "did you mean size?"),
    "dotted parameter": Wrong(
        "seed:", "recipe.learning_rate:", "6:3", "parameters.recipe.learning_rate", "write learning_rate"
    ),
    "parameter without an option": Wrong(
        "seed:", "warmup_fraction:", "6:3", "parameters.warmup_fraction", "-o, recipe.warmup_fraction=VALUE"
    ),
    "parameter like none": Wrong("seed:", "qqq:", "6:3", "parameters.qqq", "a parameter is one of size, ladder"),
    "nested parameter": Wrong(
        "  seed:\n    values: [0]",
        "  recipe:\n    parameters:\n      learning_rate:\n        values: [1e-3]",
        "6:3",
        "parameters.recipe",
        "keep parameters flat",
    ),
    "values without their key": Wrong(
        "size:\n    values: [tiny, small]", "size: [tiny, small]", "4:3", "parameters.size", "write `values: [...]`"
    ),
    "no values": Wrong("values: [0]", "values: []", "7:5", "parameters.seed.values", "write [a, b]"),
    "value twice": Wrong("[tiny, small]", "[tiny, tiny]", "5:20", "parameters.size.values", "trained twice"),
    "value like none": Wrong("[tiny, small]", "[tiny, smal]", "5:20", "size", "did you mean small?"),
    "value out of bounds": Wrong("values: [0]", "values: [-1]", "7:14", "seed", "is too small; give a whole number"),
    "list as a value": Wrong("values: [0]", "values: [[0]]", "7:14", "parameters.seed.values", "a number or a word"),
    "range in a grid": Wrong("values: [0]", "min: 0\n    max: 3", "6:3", "parameters.seed", "a grid needs values"),
    "key of a parameter": Wrong("values: [0]", "value: 0\n    prior: 1", "8:5", "parameters.seed.prior", "no such key"),
    "too many trials": Wrong("[0]", f"{list(range(600))}", "3:1", "parameters", "more than 1,000 trials"),
    "no command": Wrong(GOOD[GOOD.index("command:") :], "", "1:1", "command", "calls no subcommand; write ["),
    "command of one word": Wrong(
        GOOD[GOOD.index("command:") :], "command: train\n", "8:1", "command", "not a list of words"
    ),
    "all arguments": Wrong("${args_no_boolean_flags}", "${args}", "14:5", "command", "use ${args_no_boolean_flags}"),
    "no arguments": Wrong("  - ${args_no_boolean_flags}\n", "", "8:1", "command", "would all be the same"),
    "macro like none": Wrong("${interpreter}", "${python}", "10:5", "command", "nothing that an agent fills in"),
    "no subcommand": Wrong("  - train\n", "", "11:5", "command", "not followed by train"),
    "another program": Wrong("${program}", "other.py", "8:1", "command", "starts no scaling-lab"),
    "option like none": Wrong("--ladder=mini", "--lader=mini", "13:5", "command", "did you mean --ladder?"),
    "option without a value": Wrong("--ladder=mini", "--ladder", "13:5", "command", "write --ladder=VALUE"),
    "stray word": Wrong("--ladder=mini", "mini", "13:5", "command", "neither an option nor its value"),
    "dry run": Wrong("--ladder=mini", "--dry-run=1", "13:5", "command", "take it out"),
    "free option without a value": Wrong(
        "--ladder=mini", "-o=recipe.epochs", "13:5", "command", "write section.key=value"
    ),
    "fixed value out of bounds": Wrong(
        "--ladder=mini", "--learning-rate=5", "13:5", "recipe.learning_rate", "is too large"
    ),
    "fixed and swept": Wrong("--ladder=mini", "--seed=1", "13:5", "command", "which is a parameter too"),
    "one folder for two trials": Wrong(
        "--ladder=mini", "--name=mine", "3:1", "parameters", "would share the folder outputs/mine"
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_with_its_place(wrong: Wrong, folder: Path) -> None:
    assert wrong.old in GOOD
    path = write(folder, GOOD.replace(wrong.old, wrong.new))
    with pytest.raises(ConfigError) as refused:
        read_sweep(path)
    lines = str(refused.value).splitlines()
    begin = f"sweep.yaml:{wrong.place}: {wrong.field}: "
    assert any(line.startswith(begin) and wrong.words in line for line in lines), "\n".join(lines)


def test_all_faults_are_named_at_once(folder: Path) -> None:
    text = GOOD.replace("grid", "gird").replace("size:", "sizes:").replace("- train", "- trian")
    with pytest.raises(ConfigError) as refused:
        read_sweep(write(folder, text))
    assert len(str(refused.value).splitlines()) == 3


def test_a_program_that_is_elsewhere_is_pointed_out(folder: Path) -> None:
    path = write(folder, GOOD)
    [note] = read_sweep(path).notes
    assert note.startswith("sweep.yaml:1:1: program: there is no cli.py in this folder; ")
    (folder / "cli.py").touch()
    assert read_sweep(path).notes == ()


def test_the_command_refuses_a_wrong_file_and_asks_no_server(scaling_lab: CommandLine, folder: Path) -> None:
    write(folder, GOOD.replace("tiny", "tinny"))
    ended = scaling_lab("sweep", "create", "sweep.yaml")
    assert ended.code == 2
    assert ended.err == (
        "sweep.yaml:5:14: size: 'tinny' is not known (did you mean tiny?); give one of tiny, small, medium, large, xl\n"
    )
    assert list(folder.iterdir()) == [folder / "sweep.yaml"]


def test_a_file_that_is_not_there(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("sweep", "create", "none.yaml")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "none.yaml: no such file; give a sweep's YAML file, such as sweeps/mini.yaml\n"


def write(folder: Path, text: str) -> Path:
    (folder / "sweep.yaml").write_text(text)
    return Path("sweep.yaml")
