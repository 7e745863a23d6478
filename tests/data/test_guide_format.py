from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.data.packing.guide_format import Document, SplitReader, find_splits, write_jsonl
from scaling_lab.errors import DataError

GOOD = {"midi_path": "a.mid", "abc": "abc", "tokens": [1, 2]}
DOCUMENTS = st.lists(
    st.builds(
        Document,
        st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8),
        st.none() | st.text(alphabet='ab|\n"}{,\\é', min_size=1),
        st.none() | st.text(alphabet="ab/.", min_size=1),
    ),
    min_size=1,
    max_size=5,
)


def documents(reader: SplitReader) -> list[Document]:
    """What a reader reads, document by document."""
    return [
        Document(block.ids[begin:end].tolist(), abc, midi_path)
        for block in reader
        for begin, end, abc, midi_path in zip(block.bounds, block.bounds[1:], block.abc, block.midi_path, strict=False)
    ]


def read(path: Path, *records: object) -> SplitReader:
    """A reader of 200 good records and those given, read to its end."""
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in (*[GOOD] * 200, *records)))
    reader = SplitReader(path)
    assert len(documents(reader)) == reader.records - reader.skipped.total()
    return reader


@given(DOCUMENTS)
def test_what_is_written_is_read_back(tmp_path_factory, written: list[Document]):
    path = tmp_path_factory.mktemp("written") / "data.json"
    write_jsonl(path, written)
    assert documents(SplitReader(path)) == written


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"abc": "abc"}, "no tokens"),
        ({"tokens": None}, "no tokens"),
        ({"tokens": []}, "tokens is empty"),
        ({"tokens": "1 2"}, "tokens is not a list"),
        ({"tokens": {"0": 1}}, "tokens is not a list"),
        ({"tokens": [1, True]}, "a token is a boolean"),
        ({"tokens": [1, 2.0]}, "a token is a fraction"),
        ({"tokens": [1, "2"]}, "a token is a string"),
        ({"tokens": [1, None]}, "a token is null"),
        ({"tokens": [[1, 2]]}, "a token is a list"),
        ({"tokens": [1, {}]}, "a token is an object"),
        ({"tokens": [1, -1]}, "a token is negative"),
        ({"tokens": [1, 2**31]}, "a token is above 2^31 - 1"),
        ({"tokens": [1], "abc": 5}, "abc is not a string"),
        ({"tokens": [1], "midi_path": ["a"]}, "midi_path is not a string"),
        ([1, 2], "record is not an object"),
        (None, "record is not an object"),
    ],
)
def test_a_malformed_record_is_left_out_and_counted_by_reason(tmp_path: Path, record: object, reason: str):
    assert read(tmp_path / "data.json", record).skipped == {reason: 1}


def test_a_line_that_is_not_json_is_left_out_and_counted(tmp_path: Path):
    path = tmp_path / "data.json"
    path.write_bytes(b'{"tokens": [NaN]}\n' + b'{"tokens": [1]}\n' * 200)
    reader = SplitReader(path)
    assert len(documents(reader)) == 200
    assert reader.skipped == {"not JSON": 1}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (b'{"tokens":[0,7,12345678]}', [0, 7, 12345678]),
        (b'{"tokens" : [ 1 , 2\t,\r3 ]}', [1, 2, 3]),
        (b'{"tokens": [123456789, 2147483647, 5]}', [123456789, 2147483647, 5]),
        (b'{"tok\\u0065ns": [1, 2]}', [1, 2]),
        (b'{"tokens": [1], "tokens": [2, 3]}', [2, 3]),
        (b'{"x": {"tokens": [1]}, "tokens": [2, 3]}', [2, 3]),
        (b'{"tokens": [2, 3], "x": {"tokens": [1]}}', [2, 3]),
        (b'{"a\\"tokens": [1], "tokens": [2, 3]}', [2, 3]),
        (b'{"abc": "\\"tokens\\": [1]", "tokens": [2, 3]}', [2, 3]),
    ],
)
def test_tokens_are_read_however_they_are_spelled_and_wherever_they_stand(tmp_path: Path, text: bytes, ids: list[int]):
    path = tmp_path / "data.json"
    for content in (text, b"[" + text + b"]", b"[" + text + b"," + text + b"]"):
        path.write_bytes(content)
        assert {tuple(document.tokens) for document in documents(SplitReader(path))} == {tuple(ids)}


@pytest.mark.parametrize("tokens", [b"01", b"1,,2", b"1 2", b",1", b"1,", b"1,2,,", b"1\x0b,2", b"0 0", b"123456789 1"])
def test_a_list_of_digits_that_is_not_json_is_left_out_and_spoils_no_other(tmp_path: Path, tokens: bytes):
    path = tmp_path / "data.json"
    path.write_bytes(b'{"tokens": [1, 2]}\n' * 150 + b'{"tokens": [' + tokens + b"]}\n" + b'{"tokens": [3]}\n')
    reader = SplitReader(path)
    assert [document.tokens for document in documents(reader)] == [[1, 2]] * 150 + [[3]]
    assert reader.skipped == {"not JSON": 1}
    assert [(left.number, left.byte) for left in reader.first_skipped] == [(151, 150 * 19)]


def test_midi_path_and_abc_are_optional_and_empty_ones_count_as_absent(tmp_path: Path):
    path = tmp_path / "data.json"
    path.write_bytes(b'{"tokens": [1]}\n{"tokens": [1], "abc": "", "midi_path": ""}\n{"tokens": [1], "abc": null}')
    assert documents(SplitReader(path)) == [Document([1])] * 3


def test_one_bad_record_in_a_hundred_is_borne(tmp_path: Path):
    assert read(tmp_path / "data.json", {}, {}).skipped == {"no tokens": 2}


def test_more_than_one_in_a_hundred_is_refused_with_the_reasons(tmp_path: Path):
    with pytest.raises(DataError, match=r"3 of 203 records can't be used \(no tokens: 2, tokens is empty: 1\)"):
        read(tmp_path / "data.json", {}, {}, {"tokens": []})


def test_an_id_beyond_the_vocabulary_names_file_record_and_byte(tmp_path: Path):
    path = tmp_path / "data.json"
    path.write_bytes(b'{"tokens": [9]}\n{"tokens": [3, 10], "midi_path": "b.mid"}\n')
    with pytest.raises(DataError, match=r"data\.json: record 2 \(b\.mid\) at byte 16: token id 10 is not below .* 10;"):
        list(SplitReader(path, vocab_size=10))


def test_a_file_without_a_document_is_refused(tmp_path: Path):
    (tmp_path / "data.json").write_bytes(b"[]")
    with pytest.raises(DataError, match="there is no document in it"):
        list(SplitReader(tmp_path / "data.json"))


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path):
    def interrupted():
        yield Document([1])
        raise KeyboardInterrupt

    path = tmp_path / "data.json"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, interrupted())
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


@pytest.mark.parametrize("folder", ["val", "valid", "validation"])
@pytest.mark.parametrize("file", ["data.json", "data.jsonl", "data.json.gz", "data.jsonl.gz"])
def test_val_valid_and_validation_are_one_under_any_file_name(guide, folder: str, file: str):
    train = guide.split("train", [GOOD])
    val = guide.split(folder, [GOOD], file=file)
    assert find_splits(guide.root) == {"train": train, "val": val}


def test_two_files_of_one_split_are_refused(guide):
    guide.split("train", [GOOD])
    guide.split("val", [GOOD])
    guide.split("valid", [GOOD], file="data.jsonl")
    with pytest.raises(DataError, match=r"both val/data\.json and valid/data\.jsonl claim to be the val split"):
        find_splits(guide.root)


def test_a_folder_without_a_training_split_is_refused(guide):
    with pytest.raises(DataError, match=r"no train/data\.json"):
        find_splits(guide.root)
    with pytest.raises(DataError, match="there is no such folder"):
        find_splits(guide.root / "elsewhere")
