"""A run's own config.yaml reads back as the run it was."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.config import LADDERS, SIZES, RunConfig, dump_yaml, load_config, resolve_config


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_dumped_configuration_reads_back_equal(folder: Path, ladder: str, size: str) -> None:
    config = load_config(size=size, ladder=ladder, environ={})
    assert _read_back(folder, dump_yaml(config)) == config


_words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=64)


@settings(max_examples=60)
@given(
    tags=st.lists(_words, max_size=5),
    folder_name=_words,
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z").filter(lambda name: not name.endswith(".")),
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
    assert _read_back(tmp_path_factory.getbasetemp(), dump_yaml(config)) == config


def test_a_dumped_configuration_owes_nothing_to_presets(folder: Path) -> None:
    dumped = folder / "config.yaml"
    dumped.write_text(dump_yaml(load_config(size="xl", environ={})), encoding="utf-8")
    sources = resolve_config(dumped, environ={}).sources
    assert all(source.startswith(f"{dumped}:") for source in sources.values())


def test_a_folder_that_begins_with_a_tilde_is_no_home(folder: Path) -> None:
    config = load_config(size="tiny", environ={}).model_copy(update={"output_dir": Path("~nobody")})
    assert _read_back(folder, dump_yaml(config)).output_dir == Path("~nobody")


def _read_back(folder: Path, text: str) -> RunConfig:
    file = folder / "dumped.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    return load_config(file, environ={})
