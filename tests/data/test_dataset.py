import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scaling_lab.data.dataset import open_dataset
from scaling_lab.data.tokenization.characters import CharTokenizer
from scaling_lab.errors import DataError


def test_meta_json_says_what_ids_mean(small):
    dataset = open_dataset(small.root)
    assert (dataset.vocab_size, dataset.bos_id, dataset.eos_id) == (10, 1, 2)
    assert dataset.warnings == ()
    assert dataset.name == "dataset"
    assert len(dataset.fingerprint) == 12


def test_without_meta_json_special_ids_follow_the_largest_of_all_splits(small):
    (small.root / "meta.json").unlink()
    dataset = open_dataset(small.root)
    assert (dataset.vocab_size, dataset.bos_id, dataset.eos_id) == (12, 10, 11)
    assert dataset.tokenizer is None
    assert "no meta.json and no vocab_size: 12 ids" in dataset.warnings[0]


def test_documents_that_all_begin_and_end_alike_are_pointed_out(guide):
    guide.split("train", [{"tokens": [1, i, 2]} for i in range(3, 9)])
    guide.split("val", [{"tokens": [1, 9, 2]}])
    assert any("all documents begin with id 1 and end with 2" in said for said in open_dataset(guide.root).warnings)


def test_ids_that_are_asked_for_come_before_meta_json(small):
    dataset = open_dataset(small.root, vocab_size=16, bos_id=3, eos_id=15)
    assert (dataset.vocab_size, dataset.bos_id, dataset.eos_id) == (16, 3, 15)
    assert dataset.val.tokens.tolist() == [3, 8, 9, 15]


def test_a_vocabulary_given_alone_grows_by_bos_and_eos(small):
    (small.root / "meta.json").unlink()
    dataset = open_dataset(small.root, vocab_size=10)
    assert (dataset.vocab_size, dataset.bos_id, dataset.eos_id) == (12, 10, 11)


def test_a_vocabulary_smaller_than_that_of_meta_json_is_refused(small):
    with pytest.raises(DataError, match=r"has 10 ids, and vocab_size asks for 9"):
        open_dataset(small.root, vocab_size=9)


def test_an_id_beyond_the_vocabulary_is_refused_before_anything_is_packed(small):
    small.meta(vocab_size=9, bos_id=1, eos_id=2)
    with pytest.raises(DataError, match=r"data\.json: record 1 \(v\.mid\) at byte 0: token id 9 is not below"):
        open_dataset(small.root)
    assert not (small.root / "packed").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "vocab_size: Field required"),
        ({"vocab_size": "10"}, "vocab_size: Input should be a valid integer"),
        ({"vocab_size": 10, "bos_id": 10}, "bos_id 10 is not below vocab_size 10"),
    ],
)
def test_a_wrong_meta_json_names_the_key(small, content: dict, message: str):
    small.meta(**content)
    with pytest.raises(DataError, match=message):
        open_dataset(small.root)


def test_the_tokenizer_of_meta_json_decodes(small):
    tokenizer = CharTokenizer("abcdef")
    tokenizer.save(small.root / "tokenizer.json")
    small.meta(vocab_size=10, bos_id=1, eos_id=2, tokenizer_file="tokenizer.json", tokenizer_sha256=tokenizer.sha256)
    dataset = open_dataset(small.root)
    assert dataset.tokenizer is not None
    assert dataset.tokenizer.decode(dataset.val.tokens) == "ef"


def test_another_tokenizer_than_the_data_were_made_with_is_refused(small):
    CharTokenizer("abcdef").save(small.root / "tokenizer.json")
    small.meta(vocab_size=10, tokenizer_file="tokenizer.json", tokenizer_sha256="0" * 64)
    with pytest.raises(DataError, match=r"tokenizer\.json: changed since the data were prepared"):
        open_dataset(small.root)


def test_a_foreign_tokenizer_costs_the_decoding_and_no_more(small):
    (small.root / "bpe.json").write_text('{"model": {"type": "BPE"}}')
    small.meta(vocab_size=10, bos_id=1, eos_id=2, tokenizer_file="bpe.json")
    dataset = open_dataset(small.root)
    assert dataset.tokenizer is None
    assert dataset.warnings == (
        "bpe.json: can't be read here, so no decoding; if it is BPE, run `pip install 'scaling-lab[bpe]'`",
    )


def test_records_left_out_are_told_by_reason(small):
    small.split("train", [{"tokens": [4]}] * 200 + [{"tokens": []}])
    assert open_dataset(small.root).warnings == ("train: 1 records left out (tokens is empty: 1)",)


def test_the_summary_counts_each_split(small):
    assert open_dataset(small.root).summary()["train"] == {
        "documents": 4,
        "tokens": 20,
        "unique_tokens": 20,
        "characters": 12,
        "length_p50": 5,
        "length_p95": 5,
        "length_max": 5,
    }


def test_the_fingerprint_names_what_a_model_sees_and_not_where_it_lies(small, tmp_path):
    before = open_dataset(small.root).fingerprint
    small.root.rename(tmp_path / "elsewhere")
    assert open_dataset(tmp_path / "elsewhere").fingerprint == before
    assert open_dataset(tmp_path / "elsewhere", vocab_size=11).fingerprint != before


@pytest.mark.parametrize(
    "name", ["val", "test", "train", "validation", "val/data.json", "test/data.jsonl", "meta.json"]
)
def test_a_link_that_leads_nowhere_is_named_and_not_taken_for_absent(small, name: str):
    path = small.root / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to("/not-mounted/music")
    before = sorted(small.root.rglob("*"))
    with pytest.raises(DataError, match=rf"{path}: is a link that leads nowhere, and the data would be others without"):
        open_dataset(small.root)
    assert sorted(small.root.rglob("*")) == before


@pytest.mark.parametrize("name", ["val/data.json", "meta.json"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_named_and_not_taken_for_absent(small, name: str, make: Callable[[Path], None]):
    (small.root / name).unlink()
    make(small.root / name)
    with pytest.raises(DataError, match=rf"{small.root / name}: is no file, and the data would be others without it"):
        open_dataset(small.root)


def test_links_to_what_is_there_are_followed(small, tmp_path):
    before = open_dataset(small.root).fingerprint
    for name in ("val", "test/data.json", "meta.json"):
        elsewhere = tmp_path / name.replace("/", "-")
        (small.root / name).rename(elsewhere)
        (small.root / name).symlink_to(elsewhere)
    assert open_dataset(small.root).fingerprint == before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        open_dataset(tmp_path / "nowhere")
