import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.data.packing import json_stream
from scaling_lab.data.packing.json_stream import BROKEN, read_records
from scaling_lab.errors import DataError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\{}[], é\n', max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='k"{', max_size=2), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.sampled_from(["tokens", "abc", "x"]), JSON, max_size=3), max_size=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.json"


def values(path: Path, content: bytes) -> list[object]:
    path.write_bytes(content)
    return [record.value for record in read_records(path)]


@pytest.fixture
def any_chunk(monkeypatch: pytest.MonkeyPatch):
    return lambda size: monkeypatch.setattr(json_stream, "CHUNK_BYTES", size)


@given(objects=OBJECTS, chunk_bytes=st.integers(1, 40), indent=st.sampled_from([None, 0, 2]))
def test_an_array_is_read_the_same_whatever_the_chunks(tmp_path_factory, objects, chunk_bytes, indent):
    path = tmp_path_factory.mktemp("array") / "data.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk_bytes)
        assert values(path, json.dumps(objects, indent=indent).encode()) == objects


@given(objects=OBJECTS, chunk_bytes=st.integers(1, 40), line_end=st.sampled_from(["\n", "\r\n", "\n\n  \n"]))
def test_jsonl_is_read_the_same_whatever_the_chunks(tmp_path_factory, objects, chunk_bytes, line_end):
    path = tmp_path_factory.mktemp("lines") / "data.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk_bytes)
        assert values(path, line_end.join(map(json.dumps, objects)).encode()) == objects


def test_array_and_jsonl_are_told_apart_by_content_and_not_by_name(tmp_path: Path):
    assert values(tmp_path / "data.jsonl", b'  \n[{"a": 1}, {"b": 2}]') == [{"a": 1}, {"b": 2}]
    assert values(tmp_path / "data.json", b'\n{"a": 1}\n{"b": 2}\n') == [{"a": 1}, {"b": 2}]


def test_a_byte_order_mark_is_passed_over(path: Path):
    assert values(path, b'\xef\xbb\xbf[{"a": 1}]') == [{"a": 1}]
    assert values(path, b'\xef\xbb\xbf{"a": 1}\n') == [{"a": 1}]


def test_gzip_is_known_by_content(path: Path):
    assert values(path, gzip.compress(b'[{"a": 1}, {"a": 2}]')) == [{"a": 1}, {"a": 2}]


def test_an_empty_file_has_no_records(path: Path):
    assert values(path, b"") == []
    assert values(path, b" \n\n") == []


def test_leading_white_space_may_be_longer_than_a_chunk(path: Path, any_chunk):
    any_chunk(4)
    assert values(path, b" " * 50 + b'[{"a": 1}]') == [{"a": 1}]


def test_records_know_their_number_and_first_byte(path: Path):
    path.write_bytes(b'[{"a": 1},\n  {"b": 2}]')
    assert [(record.number, record.byte) for record in read_records(path)] == [(1, 1), (2, 13)]


def test_bytes_are_counted_across_chunks_and_in_jsonl(path: Path, any_chunk):
    any_chunk(3)
    path.write_bytes(b'\n{"a": 1}\n\n{"b": 2}\n')
    assert [record.byte for record in read_records(path)] == [1, 11]


@pytest.mark.parametrize("content", [b'{"a": 1}\n{"a": NaN}\n{"a": 3}\n', b'[{"a": 1}, {"a": NaN}, {"a": 3}]'])
def test_a_broken_record_does_not_hide_those_behind_it(path: Path, content: bytes):
    assert values(path, content) == [{"a": 1}, BROKEN, {"a": 3}]


def test_a_complete_but_broken_last_line_is_not_called_cut(path: Path):
    assert values(path, b'{"a": 1}\n{"a": NaN}') == [{"a": 1}, BROKEN]


def test_elements_that_are_no_objects_come_through_as_they_are(path: Path):
    assert values(path, b'[1, "}, {", null, [{"a": 1}, {"b": 2}], {"c": 3}]') == [
        1,
        "}, {",
        None,
        [{"a": 1}, {"b": 2}],
        {"c": 3},
    ]


def test_a_cut_last_line_names_the_byte(path: Path):
    with pytest.raises(DataError, match="cut off at byte 17, inside record 2 that begins at byte 9"):
        values(path, b'{"a": 1}\n{"a": "x')


def test_a_cut_array_names_the_byte(path: Path):
    with pytest.raises(DataError, match="cut off at byte 20, inside record 2 that begins at byte 11"):
        values(path, b'[{"a": 1}, {"a": "}]')


def test_an_array_without_its_last_bracket_is_cut(path: Path):
    with pytest.raises(DataError, match=r"cut off at byte 10"):
        values(path, b'[{"a": 1}\n')


@given(cut=st.integers(1, 46))
def test_an_array_cut_anywhere_is_refused(tmp_path_factory, cut: int):
    whole = b'[{"tokens": [1, 2]}, {"abc": "}, {", "x": {}}]'
    with pytest.raises(DataError, match="cut off"):
        values(tmp_path_factory.mktemp("cut") / "data.json", whole[: min(cut, len(whole) - 1)])


def test_a_cut_gzip_is_refused(path: Path):
    with pytest.raises(DataError, match="broken gzip"):
        values(path, gzip.compress(b'{"a": 1}\n' * 1000)[:-12])


def test_bytes_behind_the_array_are_refused(path: Path):
    with pytest.raises(DataError, match="byte 11: something follows"):
        values(path, b'[{"a": 1}] []')


def test_elements_without_a_comma_are_refused(path: Path):
    with pytest.raises(DataError, match=r"byte 10: b'{' after record 1"):
        values(path, b'[{"a": 1} {"a": 2}]')


@pytest.mark.parametrize("content", [b"midi_path,abc\n", "[{}]".encode("utf-16")])
def test_what_is_neither_array_nor_jsonl_is_refused(path: Path, content: bytes):
    with pytest.raises(DataError, match="neither a JSON array nor JSONL"):
        values(path, content)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.json: can't be read: No such file"):
        list(read_records(tmp_path / "gone.json"))


@pytest.mark.parametrize("content", [b'[{"a": "%s"}]', b'{"a": "%s"}\n'])
def test_a_record_beyond_all_measure_is_refused(path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_stream, "CHUNK_BYTES", 16)
    monkeypatch.setattr(json_stream, "MAX_RECORD_BYTES", 100)
    with pytest.raises(DataError, match="a record of more than"):
        values(path, content % (b"x" * 1000))


def test_a_string_full_of_boundaries_is_read_in_linear_time(path: Path):
    abc = "}, {" * 300_000
    assert values(path, json.dumps([{"abc": abc}, {"abc": "b"}]).encode()) == [{"abc": abc}, {"abc": "b"}]


@pytest.mark.parametrize("form", ["array", "jsonl", "gzip"])
def test_forty_megabytes_are_read_in_less_than_twelve(path: Path, form: str, peak_megabytes):
    record = json.dumps({"midi_path": "a.mid", "abc": "K:G|" * 50, "tokens": list(range(250))}).encode()
    opening, joint, closing = (b"[", b", ", b"]") if form == "array" else (b"", b"\n", b"\n")
    content = opening + joint.join([record] * (40_000_000 // len(record))) + closing
    path.write_bytes(gzip.compress(content, 1) if form == "gzip" else content)
    reading = (
        "from scaling_lab.data.packing.json_stream import read_records",
        "for _ in read_records(folder / 'data.json'): pass",
    )
    assert peak_megabytes(path.parent, *reading) < 12
