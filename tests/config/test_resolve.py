"""Which source wins, where each value came from, and what may be written for what."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.config import LADDERS, SIZES, Override, RunConfig, dump_yaml, load_config, resolve_config
from scaling_lab.config.resolve import ResolvedConfig
from scaling_lab.errors import ConfigError

PRESETS = Path(__file__).parents[2] / "scaling_lab" / "config" / "presets"


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


# Presets


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("size", SIZES)
def test_every_preset_is_valid(ladder: str, size: str) -> None:
    config = load_config(size=size, ladder=ladder, environ={})
    assert (config.ladder, config.size) == (ladder, size)


@pytest.mark.parametrize("ladder", LADDERS)
def test_a_ladder_rises_in_width_and_depth_and_keeps_its_recipe(ladder: str) -> None:
    rungs = [load_config(size=size, ladder=ladder, environ={}) for size in SIZES]
    widths = [rung.model.d_model for rung in rungs]
    depths = [rung.model.n_layers for rung in rungs]
    assert widths == sorted(set(widths))
    assert depths == sorted(depths)
    assert all(rung.recipe == rungs[0].recipe and rung.data == rungs[0].data for rung in rungs)


def test_xl_has_twelve_heads_of_width_96() -> None:
    model = load_config(size="xl", environ={}).model
    assert (model.d_model, model.n_heads, model.head_width, model.attention_width) == (1024, 12, 96, 1152)


@pytest.mark.parametrize("file", sorted(PRESETS.rglob("*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_key_of_a_preset_says_why(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    unexplained = [line for line in lines if line.startswith(" ") and len(line.partition("# ")[2]) < 5]
    assert unexplained == []


# Writing it back


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_dumped_configuration_reads_back_equal(folder: Path, ladder: str, size: str) -> None:
    config = load_config(size=size, ladder=ladder, environ={})
    assert load_config(_written(folder, dump_yaml(config)), environ={}) == config


_words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=64)


@settings(database=None, deadline=None, max_examples=60)
@given(
    tags=st.lists(_words, max_size=5),
    folder_name=_words,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z"),
    rate=st.floats(1e-300, 1),
    seed=st.integers(0, 2**31 - 1),
)
def test_whatever_it_holds_a_dumped_configuration_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, tags: list[str], folder_name: str, name: str, rate: float, seed: int
) -> None:
    base = load_config(size="tiny", environ={})
    config = base.model_copy(
        update={
            "name": name,
            "seed": seed,
            "output_dir": Path(folder_name) if folder_name.strip() else base.output_dir,
            "recipe": base.recipe.model_copy(update={"learning_rate": rate}),
            "tracking": base.tracking.model_copy(update={"tags": tuple(tags)}),
        }
    )
    file = tmp_path_factory.getbasetemp() / "dumped.yaml"
    file.write_text(dump_yaml(config), encoding="utf-8", newline="")
    assert load_config(file, environ={}) == config


# Whatever the text


_fragments = st.sampled_from(
    [*"\n\n\n:  -{}[],#&*!|>'\"%@`\\?~\t\r0", ": ", "\n  ", "- ", "---\n", "size: tiny\n", "model:\n", "  d_model: "]
    + [
        "recipe:\n",
        "tags: [",
        "1e3",
        ".inf",
        "null",
        "true",
        "seed",
        "<<",
        "&a ",
        "*a",
        "!!int ",
        '"\\x',
        "\\U",
        "\ufeff",
    ]
)
_yaml_like = st.lists(_fragments | st.text(max_size=4), max_size=30).map("".join)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_keys = st.sampled_from(
    [*RunConfig.model_fields, "d_model", "learning_rate", "tokens", "mode", "tags", "dir", "head_dim"]
)
_configurations = st.dictionaries(_keys, _values | st.dictionaries(_keys, _values, max_size=4), max_size=5)


def _is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "random.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_config(file, size="tiny", environ={}), RunConfig)
    except ConfigError as refused:
        assert str(refused)
        str(refused).encode("utf-8")


@settings(database=None, deadline=None, max_examples=300)
@given(text=_yaml_like | st.text())
def test_any_text_is_read_or_refused_but_never_crashes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    _is_read_or_refused(tmp_path_factory, text)


@settings(database=None, deadline=None, max_examples=200)
@given(values=_configurations)
def test_any_values_are_taken_or_refused_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    _is_read_or_refused(tmp_path_factory, yaml.safe_dump(values, allow_unicode=True))


@settings(database=None, deadline=None, max_examples=200)
@given(key=st.sampled_from(sorted(resolve_config(size="tiny", environ={}).sources)), text=st.text(max_size=12))
def test_any_typed_value_is_taken_or_refused_but_never_crashes(key: str, text: str) -> None:
    try:
        load_config(size="tiny", overrides=[f"{key}={text}"], environ={})
    except ConfigError as refused:
        assert str(refused).startswith(f"override {key}: ")
