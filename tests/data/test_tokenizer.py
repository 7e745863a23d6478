from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.data.tokenization.characters import CharTokenizer
from scaling_lab.data.tokenization.kinds import load_tokenizer
from scaling_lab.data.tokenization.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, UNKNOWN
from scaling_lab.errors import DataError


def test_special_ids_come_first_and_characters_in_order():
    tokenizer = CharTokenizer.train(["cab", "b|"])
    assert (PAD_ID, BOS_ID, EOS_ID, UNK_ID) == (0, 1, 2, 3)
    assert tokenizer.characters == ("a", "b", "c", "|")
    assert tokenizer.encode("abc|") == [4, 5, 6, 7]
    assert tokenizer.vocab_size == 8


@settings(deadline=None, max_examples=30)
@given(st.text())
def test_text_of_known_characters_comes_back_whole(text: str):
    tokenizer = CharTokenizer.train([text])
    assert tokenizer.decode([BOS_ID, *tokenizer.encode(text), EOS_ID, PAD_ID]) == text


def test_a_character_not_in_train_is_unknown():
    tokenizer = CharTokenizer.train(["ab"])
    assert tokenizer.encode("axb") == [4, UNK_ID, 5]
    assert tokenizer.decode([4, UNK_ID, 5]) == f"a{UNKNOWN}b"


def test_an_id_beyond_the_tokenizer_decodes_as_unknown():
    assert CharTokenizer("a").decode([4, 5, 999]) == f"a{UNKNOWN}{UNKNOWN}"


def test_a_saved_tokenizer_is_the_same_when_loaded(tmp_path: Path):
    tokenizer = CharTokenizer.train(['a"\\\né'])
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(loaded, CharTokenizer)
    assert loaded.characters == tokenizer.characters
    assert loaded.sha256 == tokenizer.sha256 != CharTokenizer("a").sha256


def test_a_tokenizer_of_another_kind_is_none(tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "BPE"}}')
    assert load_tokenizer(tmp_path / "tokenizer.json") is None


@pytest.mark.parametrize(
    "content",
    ["", "not JSON", '{"type": "char", "specials": ["<pad>", "<bos>", "<eos>", "<unk>"], "characters": ["ab"]}'],
)
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_missing_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "tokenizer.json")
