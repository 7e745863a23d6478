from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.data.tokenization.bpe import BPETokenizer
from scaling_lab.data.tokenization.characters import CharTokenizer
from scaling_lab.data.tokenization.kinds import TokenizerKind, load_tokenizer
from scaling_lab.data.tokenization.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, UNKNOWN
from scaling_lab.errors import DataError, UsageError


def test_special_ids_come_first_and_characters_in_order():
    tokenizer = CharTokenizer.train(["cab", "b|"])
    assert (PAD_ID, BOS_ID, EOS_ID, UNK_ID) == (0, 1, 2, 3)
    assert tokenizer.characters == ("a", "b", "c", "|")
    assert tokenizer.encode("abc|") == [4, 5, 6, 7]
    assert tokenizer.vocab_size == 8


@settings(max_examples=30)
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
    (tmp_path / "tokenizer.json").write_text('{"type": "sentencepiece"}')
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


TUNE = "M:6/8\nL:1/8\nK:Em\n|:GAB e2f|gfe d2B|GAB e2f|gfe B3:|\n"


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train([TUNE, TUNE.replace("Em", "Dmix"), TUNE.replace("gfe", "gag")], 300)


def test_bpe_gives_text_back_whole_and_needs_fewer_tokens(bpe: BPETokenizer):
    ids = bpe.encode(TUNE)
    assert bpe.decode([BOS_ID, *ids, EOS_ID, PAD_ID]) == TUNE
    assert min(ids) > UNK_ID
    assert len(ids) < len(TUNE) / 3


def test_no_token_of_bpe_reaches_over_a_bar_line(bpe: BPETokenizer):
    tokens = [bpe.decode([id_]) for id_ in range(UNK_ID + 1, bpe.vocab_size)]
    assert any(len(token) > 4 for token in tokens)
    assert not [token for token in tokens if token.rstrip("|:]\n").count("|") and len(token) > 2]


def test_a_character_that_bpe_never_saw_is_unknown(bpe: BPETokenizer):
    assert bpe.decode(bpe.encode("GAB\N{BLACK STAR}e2f")) == f"GAB{UNKNOWN}e2f"
    assert bpe.decode([bpe.vocab_size + 7]) == UNKNOWN


def test_saved_bpe_is_the_same_when_loaded_and_trained_again(tmp_path: Path, bpe: BPETokenizer):
    bpe.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded is not None
    assert loaded.sha256 == bpe.sha256
    assert loaded.encode(TUNE) == bpe.encode(TUNE)
    again = BPETokenizer.train([TUNE, TUNE.replace("Em", "Dmix"), TUNE.replace("gfe", "gag")], 300)
    assert again.sha256 == bpe.sha256


@pytest.mark.parametrize("name", ["bpe", "bpe:", "bpe:10", "bpe:1e3", "bpe:100000", "word", ""])
def test_a_tokenizer_that_is_none_is_refused_with_those_that_are(name: str):
    with pytest.raises(UsageError, match="must be char, or bpe:N"):
        TokenizerKind.parse(name)
