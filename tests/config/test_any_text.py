"""Whatever the text, it is read or refused: nothing but success or ConfigError."""

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.config import RunConfig, load_config
from scaling_lab.config.fields import FIELDS
from scaling_lab.errors import ConfigError

_MARKS = list("\n\n\n:  -{}[],#&*!|>'\"%@`\\?~\t\r0")
_PHRASES = [": ", "\n  ", "- ", "---\n", "size: tiny\n", "model:\n", "  d_model: ", "recipe:\n", "tags: [", "seed"]
_ODDITIES = ["1e3", ".inf", "null", "true", "<<", "&a ", "*a", "!!int ", '"\\x', "\\U", "\ufeff"]
_fragments = st.sampled_from(_MARKS + _PHRASES + _ODDITIES)
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


def _check_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "random.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load_config(file, size="tiny", environ={}), RunConfig)
    except ConfigError as refused:
        str(refused).encode("utf-8")  # fails on what a terminal could not print


@settings(max_examples=300)
@given(text=_yaml_like | st.text())
def test_any_text_check_read_or_refused_but_never_crashes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    _check_read_or_refused(tmp_path_factory, text)


@settings(max_examples=100)
@given(values=_configurations)
def test_any_values_are_taken_or_refused_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    _check_read_or_refused(tmp_path_factory, yaml.safe_dump(values, allow_unicode=True))


@settings(max_examples=200)
@given(key=st.sampled_from(sorted(FIELDS)), text=st.text(max_size=12))
def test_any_typed_value_is_taken_or_refused_but_never_crashes(key: str, text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load_config(size="tiny", overrides=[f"{key}={text}"], environ={}), RunConfig)
