"""Which source wins, where each value came from, and what may be written for what."""

from pathlib import Path

import pytest

from scaling_lab.config import Override, dump_yaml, load_config, resolve_config
from scaling_lab.config.resolve import ResolvedConfig
from scaling_lab.errors import ConfigError


def _written(folder: Path, text: str) -> Path:
    file = folder / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return Path("run.yaml")


def _learning_rate(resolved: ResolvedConfig) -> tuple[float, str]:
    return resolved.config.recipe.learning_rate, resolved.sources["recipe.learning_rate"]


# Precedence and provenance


def test_each_source_goes_before_the_weaker_ones(folder: Path) -> None:
    file = _written(folder, "recipe:\n  learning_rate: 2e-3\n")
    environ = {"SCALING_LAB_RECIPE__LEARNING_RATE": "3e-3"}
    typed = [Override("recipe.learning_rate", "4e-3", "command line --learning-rate")]

    preset = resolve_config(size="tiny", environ={})
    in_file = resolve_config(file, size="tiny", environ={})
    in_environment = resolve_config(file, size="tiny", environ=environ)
    on_command_line = resolve_config(file, size="tiny", environ=environ, overrides=typed)

    assert _learning_rate(preset) == (3e-4, "preset full/recipe.yaml:7")
    assert _learning_rate(in_file) == (2e-3, "run.yaml:2:3")
    assert _learning_rate(in_environment) == (3e-3, "environment SCALING_LAB_RECIPE__LEARNING_RATE")
    assert _learning_rate(on_command_line) == (4e-3, "command line --learning-rate")


def test_what_nothing_sets_is_a_default() -> None:
    resolved = resolve_config(size="tiny", environ={})
    assert resolved.sources["machine.device"] == "default"
    assert resolved.config.machine.device == "auto"


def test_the_size_asked_for_replaces_the_one_in_the_file(folder: Path) -> None:
    file = _written(folder, "size: tiny\nladder: mini\n")
    resolved = resolve_config(file, size="xl", environ={})
    assert resolved.config.model.d_model == 128
    assert resolved.sources["size"] == "argument size"
    assert resolved.sources["ladder"] == "run.yaml:2:1"
    assert resolved.sources["model.d_model"] == "preset mini/xl.yaml:3"


def test_every_field_has_a_source() -> None:
    resolved = resolve_config(size="tiny", environ={})
    values = resolved.config.model_dump()
    leaves = {
        f"{name}.{inner}" if isinstance(value, dict) else name
        for name, value in values.items()
        for inner in (value if isinstance(value, dict) else [name])
    }
    assert set(resolved.sources) == leaves


def test_the_last_of_two_overrides_wins() -> None:
    assert load_config(size="tiny", overrides=["seed=1", "seed=2"], environ={}).seed == 2


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALING_LAB_SEED", "3")
    monkeypatch.setenv("SCALING_LAB_SIZE", "small")
    monkeypatch.setenv("SCALING_LAB_DEBUG", "1")
    assert load_config() == load_config(size="small", overrides=["seed=3"])


def test_the_variables_of_wandb_are_honoured() -> None:
    environ = {
        "WANDB_MODE": "disabled",
        "WANDB_PROJECT": "bach",
        "WANDB_ENTITY": "choir",
        "WANDB_RUN_GROUP": "night",
        "WANDB_API_KEY": "not ours",
    }
    resolved = resolve_config(size="tiny", environ=environ)
    tracking = resolved.config.tracking
    assert (tracking.mode, tracking.project, tracking.entity, tracking.group) == ("disabled", "bach", "choir", "night")
    assert resolved.sources["tracking.group"] == "environment WANDB_RUN_GROUP"


def test_dryrun_is_what_wandb_called_offline() -> None:
    assert load_config(size="tiny", environ={"WANDB_MODE": "dryrun"}).tracking.mode == "offline"


def test_our_own_variable_goes_before_that_of_wandb() -> None:
    environ = {"WANDB_PROJECT": "theirs", "SCALING_LAB_TRACKING__PROJECT": "ours"}
    assert load_config(size="tiny", environ=environ).tracking.project == "ours"


def test_an_empty_variable_counts_as_unset() -> None:
    environ = {"WANDB_PROJECT": "", "SCALING_LAB_SEED": ""}
    assert load_config(size="tiny", environ=environ) == load_config(size="tiny", environ={})


def test_another_size_than_that_of_a_whole_file_is_a_fault(folder: Path) -> None:
    file = _written(folder, dump_yaml(load_config(size="tiny", environ={})))
    with pytest.raises(ConfigError, match=r"^argument size: size: has no effect.* take `model:` out of the file"):
        load_config(file, size="large", environ={})
    assert load_config(file, size="tiny", environ={}).model.d_model == 128


# What may be written for what


@pytest.mark.parametrize("written", ["512000", "512_000", "512e3", "512000.0", "5.12E+5"])
def test_a_whole_number_may_be_written_as_a_person_likes(folder: Path, written: str) -> None:
    file = _written(folder, f"size: tiny\nrecipe:\n  batch_size_tokens: {written}\n")
    batches = [
        load_config(file, environ={}).recipe.batch_size_tokens,
        load_config(
            size="tiny", overrides=[f"recipe.batch_size_tokens={written}"], environ={}
        ).recipe.batch_size_tokens,
    ]
    assert batches == [512_000, 512_000]
    assert all(type(batch) is int for batch in batches)


def test_a_whole_number_will_do_for_a_fraction(folder: Path) -> None:
    epochs = load_config(_written(folder, "size: tiny\nrecipe:\n  epochs: 2\n"), environ={}).recipe.epochs
    assert epochs == 2.0
    assert type(epochs) is float


def test_text_becomes_a_folder_and_a_tilde_the_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    config = load_config(_written(folder, "size: tiny\noutput_dir: out/a\ndata:\n  dir: ~/music\n"), environ={})
    assert config.output_dir == Path("out/a")
    assert config.data.dir == folder / "music"


@pytest.mark.parametrize("written", ["[night, bach]", "\n  - night\n  - bach"])
def test_tags_are_a_list(folder: Path, written: str) -> None:
    config = load_config(_written(folder, f"size: tiny\ntracking: \n tags: {written}\n"), environ={})
    assert config.tracking.tags == ("night", "bach")


@pytest.mark.parametrize(("typed", "tags"), [("[a, b]", ("a", "b")), ("a", ("a",)), ("2024", ("2024",)), ("[]", ())])
def test_tags_may_be_typed(typed: str, tags: tuple[str, ...]) -> None:
    assert load_config(size="tiny", overrides=[f"tracking.tags={typed}"], environ={}).tracking.tags == tags


@pytest.mark.parametrize("name", ["2024", "on", "true", "1e3"])
def test_a_name_that_is_typed_is_taken_as_it_stands(name: str) -> None:
    assert load_config(size="tiny", overrides=[f"name={name}"], environ={}).name == name


def test_null_leaves_a_value_open() -> None:
    config = load_config(size="xl", overrides=["model.head_dim=null", "model.n_heads=16", "name=null"], environ={})
    assert (config.model.head_dim, config.model.head_width, config.name) == (None, 64, None)


def test_values_from_python_keep_their_type() -> None:
    overrides = [Override("data.dir", Path("music"), "here"), Override("tracking.tags", ("a",), "here")]
    config = load_config(size="tiny", overrides=overrides, environ={})
    assert (config.data.dir, config.tracking.tags) == (Path("music"), ("a",))


def test_a_section_with_everything_commented_out_is_no_fault(folder: Path) -> None:
    file = _written(folder, "size: tiny\nmodel:\n  # d_model: 64\n")
    assert load_config(file, environ={}) == load_config(size="tiny", environ={})
