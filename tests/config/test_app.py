"""The command line as a process: what it imports, how it ends, and what `config` prints."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from cli_in_process import CommandLine

from scaling_lab.commands import run_options
from scaling_lab.commands.app import COMMANDS, app
from scaling_lab.commands.run_options import RunOptions, takes_run_options
from scaling_lab.config import SIZES, load_config
from scaling_lab.errors import DivergedError
from scaling_lab.version import __version__


def _fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes whatever reads the run options raise."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_options, "resolve_config", fail)


# Help


@pytest.mark.slow
def test_help_imports_nothing_heavy_and_takes_less_than_0_4_seconds() -> None:
    heavy = {"torch", "wandb", "numpy", "scipy", "plotly", "pydantic", "yaml", "rich"}
    code = (
        "import sys; sys.argv = ['scaling-lab', '--help']\n"
        "from scaling_lab.commands.app import main\n"
        "try: main()\n"
        f"finally: print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    before = _cpu_seconds_of_children()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Processor time: the same on a machine that is busy with something else.
    assert _cpu_seconds_of_children() - before < 0.4
    assert ended.stderr == "[]\n"
    assert "Usage: scaling-lab" in ended.stdout


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_lists_every_command(scaling_lab: CommandLine) -> None:
    for flag in ("--help", "-h"):
        ended = scaling_lab(flag)
        assert ended.code == 0
        assert all(f"  {name} " in ended.out and text in ended.out for name, text in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_imported_and_has_help(name: str, scaling_lab: CommandLine) -> None:
    ended = scaling_lab(name, "--help")
    assert ended.code == 0
    assert f"Usage: scaling-lab {name}" in ended.out
    assert "completion" not in ended.out


def test_help_of_an_option_is_the_description_of_its_field(scaling_lab: CommandLine) -> None:
    printed = " ".join(scaling_lab("config", "show", "--help").out.split())
    assert "Tokens in one optimizer step, reached by gradient accumulation. A fact of the experiment." in printed


@pytest.mark.slow
def test_help_has_no_colour_where_none_is_wanted() -> None:
    environ = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": "1"}
    command = [sys.executable, "-m", "scaling_lab", "config", "show", "--help"]
    assert "\x1b" not in subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout


def test_version_is_printed(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("--version")
    assert (ended.code, ended.out) == (0, f"scaling-lab {__version__}\n")


# Ends


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["confg"], "Did you mean 'config'?"),
        (["config", "show", "--nonsense"], "No such option: --nonsense"),
        (["config", "validate"], "Missing argument"),
    ],
)
def test_wrong_usage_ends_with_2(scaling_lab: CommandLine, arguments: list[str], words: str) -> None:
    ended = scaling_lab(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err


def test_an_error_of_ours_ends_with_its_message_and_code(
    scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_with(DivergedError("step 7: the loss is nan; lower the learning rate"), monkeypatch)
    ended = scaling_lab("config", "show")
    assert (ended.code, ended.out, ended.err) == (3, "", "step 7: the loss is nan; lower the learning rate\n")


def test_ctrl_c_ends_with_130(scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(KeyboardInterrupt(), monkeypatch)
    ended = scaling_lab("config", "show")
    assert ended.code == 130
    assert "Traceback" not in ended.err


def test_a_bug_ends_with_1_and_its_traceback_in_a_file(
    scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    _fails_with(ZeroDivisionError("by zero"), monkeypatch)
    ended = scaling_lab("config", "show")
    first, second = ended.err.splitlines()
    assert ended.code == 1
    assert first == f"This is a bug in scaling-lab {__version__}: ZeroDivisionError: by zero"
    (written,) = folder.glob("scaling-lab-bug-*.txt")
    assert second.endswith(str(written))
    assert "Traceback" in written.read_text()


def test_a_bug_shows_its_traceback_where_that_is_asked_for(
    scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALING_LAB_DEBUG", "1")
    _fails_with(ZeroDivisionError("by zero"), monkeypatch)
    ended = scaling_lab("config", "show")
    assert ended.code == 1
    assert "Traceback" in ended.err


# Run options


def test_options_reach_the_fields_they_are_named_after(scaling_lab: CommandLine) -> None:
    given = {
        "--size": ("size", "small"),
        "--ladder": ("ladder", "mini"),
        "--batch-size-tokens": ("recipe.batch_size_tokens", 8192),
        "--learning-rate": ("recipe.learning_rate", 0.5),
        "--seed": ("seed", 3),
        "--tokens": ("recipe.tokens", 1_000_000),
        "--epochs": ("recipe.epochs", 2.0),
        "--data-dir": ("data.dir", "music"),
        "--name": ("name", "a"),
        "--output-dir": ("output_dir", "out"),
        "--tracking": ("tracking.mode", "offline"),
        "--project": ("tracking.project", "b"),
        "--device": ("machine.device", "cpu"),
        "--precision": ("machine.precision", "fp32"),
        "--threads": ("machine.threads", 2),
    }
    arguments = [text for flag, (_, value) in given.items() for text in (flag, str(value))]
    printed = json.loads(scaling_lab("config", "show", "--json", *arguments, "-o", "data.sequence_length=99").out)
    for flag, (key, value) in given.items():
        section, _, name = key.rpartition(".")
        assert (printed["config"][section] if section else printed["config"])[name] == value
        assert printed["sources"][key] == f"command line {flag}"
    assert printed["config"]["data"]["sequence_length"] == 99
    assert printed["sources"]["data.sequence_length"] == "command line -o data.sequence_length"


def test_options_may_be_written_as_a_sweep_agent_writes_them(scaling_lab: CommandLine) -> None:
    sweep = ["--learning_rate=0.003", "--size=tiny", "--batch_size_tokens=4096", "--output_dir=o", "--data_dir=d"]
    config = json.loads(scaling_lab("config", "show", "--json", *sweep).out)["config"]
    assert config["recipe"]["learning_rate"] == 0.003
    assert (config["output_dir"], config["data"]["dir"]) == ("o", "d")


def test_a_free_option_goes_before_the_named_one(scaling_lab: CommandLine) -> None:
    printed = json.loads(scaling_lab("config", "show", "--json", "-s", "xl", "-o", "seed=2", "--seed", "1").out)
    assert (printed["config"]["seed"], printed["sources"]["seed"]) == (2, "command line -o seed")


def test_a_command_may_have_options_of_its_own_beside_those_of_a_run() -> None:
    from typer.testing import CliRunner

    mine = typer.Typer(add_completion=False, rich_markup_mode=None)

    @mine.command()
    @takes_run_options
    def train(options: RunOptions, *, dry_run: Annotated[bool, typer.Option("--dry-run")] = False) -> None:
        """Train one size."""
        typer.echo(f"{options.resolve().config.size} {dry_run}")

    assert CliRunner().invoke(mine, ["--size", "xl", "--dry-run"]).output == "xl True\n"
    assert "Train one size." in CliRunner().invoke(mine, ["--help"]).output


# config show, validate, schema


def test_show_prints_key_value_and_source_in_columns(scaling_lab: CommandLine, folder: Path) -> None:
    (folder / "run.yaml").write_text("size: xl\ntracking:\n  tags: [bach]\n")
    lines = scaling_lab("config", "show", "--config", "run.yaml", "--learning-rate", "1e-3").out.splitlines()
    rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
    assert rows["size"] == ["xl", "run.yaml:1:1"]
    assert rows["model.d_model"] == ["1024", "preset full/xl.yaml:3"]
    assert rows["recipe.learning_rate"] == ["0.001", "command line --learning-rate"]
    assert rows["machine.device"] == ["auto", "default"]
    assert rows["tracking.tags"] == ['["bach"]', "run.yaml:3:3"]
    assert len({line.index(rows[line.split()[0]][1]) for line in lines}) == 1


def test_show_in_json_is_json_and_the_whole_configuration(scaling_lab: CommandLine) -> None:
    ended = scaling_lab("config", "show", "--size", "tiny", "--json")
    assert ended.err == ""
    assert json.loads(ended.out)["config"] == load_config(size="tiny").model_dump(mode="json")


def test_validate_ignores_the_environment(
    scaling_lab: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    (folder / "run.yaml").write_text("size: tiny\n")
    ended = scaling_lab("config", "validate", "run.yaml")
    assert (ended.code, ended.out) == (0, "run.yaml: valid\n")


def test_a_recipe_without_a_size_is_validated_with_every_size(scaling_lab: CommandLine, folder: Path) -> None:
    (folder / "recipe.yaml").write_text("model:\n  n_heads: 4\n")
    ended = scaling_lab("config", "validate", "recipe.yaml")
    assert (ended.code, ended.out) == (0, "recipe.yaml: valid with every size\n")
    (folder / "recipe.yaml").write_text("model:\n  n_heads: 6\n")
    assert "6 does not divide d_model 128" in scaling_lab("config", "validate", "recipe.yaml").err


def test_schema_is_json_schema_with_every_description(scaling_lab: CommandLine) -> None:
    schema = json.loads(scaling_lab("config", "schema").out)
    recipe = schema["$defs"]["RecipeConfig"]["properties"]
    assert schema["properties"]["size"]["enum"] == list(SIZES)
    assert all(field["description"] for field in recipe.values())


@pytest.mark.slow
def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m scaling_lab config schema | head -n 1"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("{\n", "")


def test_the_app_itself_is_importable_for_documentation() -> None:
    assert isinstance(app, typer.Typer)
