"""Both ladders, rung by rung."""

from pathlib import Path

import pytest

from scaling_lab.config import LADDERS, SIZES, load_config

PRESETS = Path(__file__).parents[2] / "scaling_lab" / "config" / "presets"


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
