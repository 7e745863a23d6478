"""The readers given anything: they end, with documents or with an error for people, and soon."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scaling_lab.data.dataset import open_dataset
from scaling_lab.data.packing import guide_format, json_stream
from scaling_lab.data.packing.guide_format import SplitReader
from scaling_lab.errors import DataError

RECORDS = [
    b'{"midi_path": "a.mid", "abc": "K:G\\n{c}[ce]|", "tokens": [1, 22, 333]}',
    b'{"tokens":[4,5],"abc":"\\u00e9 }, {"}',
    b'{"abc": null, "x": {"tokens": [1]}, "tokens": [ 7 ]}',
]
WHOLE = [b"[" + b", ".join(RECORDS) + b"]", b"\n".join(RECORDS) + b"\n"]
# What a reader of numbers, strings or brackets could stumble over.
PIECES = st.sampled_from(
    [
        *(
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b'"',
            b"\\",
            b"\n",
            b"0",
            b"-",
            b".",
            b"e9",
            b" ",
            b"\x00",
            b"\xff",
            b"\xed\xa0\x80",
        ),
        *(
            b"null",
            b"true",
            b"NaN",
            b'"tokens"',
            b'"tokens": [',
            b"\\ud800",
            b"1e999",
            b"9" * 400,
            b"2147483648",
            b"18446744073709551616",
        ),
        *(b"}, {", b'{"tokens": [1]}', b"[" * 2000, b'{"a":' * 2000, b"\xef\xbb\xbf", b"\x1f\x8b"),
    ]
)
ANYTHING = st.binary(max_size=60) | st.lists(PIECES, max_size=12).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A whole file with stretches of it replaced, maybe cut, maybe packed and damaged again."""
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(content)))
        content[begin : begin + draw(st.integers(0, 9))] = draw(ANYTHING)
    if not draw(st.booleans()):
        return bytes(content)
    packed = bytearray(gzip.compress(bytes(content), mtime=0))
    for _ in range(draw(st.integers(0, 2))):
        begin = draw(st.integers(0, len(packed) - 1))
        packed[begin : begin + draw(st.integers(0, 9))] = draw(st.binary(max_size=4))
    return bytes(packed)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "data.json"
    path.write_bytes(content)
    return path


def documents(path: Path) -> list[tuple[list[int], str | None, str | None]]:
    """What is read; whatever is wrong with the file, it is no other error than DataError."""
    reader, found = SplitReader(path), []
    try:
        for block in reader:
            assert len(block.bounds) == len(block) + 1
            bounds = block.bounds.tolist()
            for place in range(len(block)):
                ids = block.ids[bounds[place] : bounds[place + 1]].tolist()
                found.append((ids, block.abc[place], block.midi_path[place]))
    except DataError:
        pass
    assert all(ids and min(ids) >= 0 and max(ids) < 2**31 for ids, _, _ in found)
    return found


@settings(deadline=2000, max_examples=300)
@given(
    content=ANYTHING | damaged(),
    chunk_bytes=st.sampled_from([1, 7, 1 << 20]),
    block_bytes=st.sampled_from([1, 1 << 19]),
)
@example(content=b"[" * 100_000, chunk_bytes=1 << 20, block_bytes=1)
@example(content=b'{"a":' * 100_000, chunk_bytes=1 << 20, block_bytes=1)
@example(content=b'[{"tokens": [' + b"9" * 100_000 + b"]}]", chunk_bytes=1 << 20, block_bytes=1)
def test_any_bytes_are_documents_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, chunk_bytes: int, block_bytes: int
) -> None:
    path = written(tmp_path_factory.mktemp("any"), content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(guide_format, "BLOCK_BYTES", block_bytes)
        documents(path)


@settings(max_examples=60)
@given(damaged(), damaged())
def test_a_damaged_dataset_is_opened_or_refused_and_leaves_no_half_packing(
    tmp_path_factory: pytest.TempPathFactory, train: bytes, val: bytes
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    for split, content in (("train", train), ("val", val)):
        (root / split).mkdir()
        written(root / split, content)
    try:
        dataset = open_dataset(root)
    except DataError:
        assert not (root / "packed").exists()
        assert not list(root.glob(".packed.tmp"))
    else:
        assert dataset.train.n_documents
        assert dataset.val.n_documents


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**31 + 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('a"\\{}[], é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tokens", "abc", 'a"tokens']), inner, max_size=3)
    ),
    max_leaves=6,
)
TOKENS = st.lists(st.integers(0, 300) | st.integers(0, 2**31 + 2), max_size=5)
OBJECTS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"x": VALUES, "tokens": TOKENS | VALUES, "abc": VALUES, "midi_path": st.text(max_size=4)}
    ),
    min_size=1,
    max_size=6,
)


def expected(record: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """The document in a record by the rules, checked the slow way."""
    tokens, abc, midi_path = (record.get(name) for name in ("tokens", "abc", "midi_path"))
    fine = isinstance(tokens, list) and tokens and all(type(id_) is int and 0 <= id_ < 2**31 for id_ in tokens)
    texts_fine = all(text is None or isinstance(text, str) for text in (abc, midi_path))
    return [(tokens, abc or None, midi_path or None)] if fine and texts_fine else []


@settings(max_examples=200)
@given(OBJECTS, st.sampled_from([0, orjson.OPT_INDENT_2]), st.booleans(), st.sampled_from([1, 1 << 19]))
def test_what_serves_is_what_a_plain_parser_says(
    tmp_path_factory: pytest.TempPathFactory,
    objects: list[dict[str, Any]],
    option: int,
    as_lines: bool,
    block_bytes: int,
) -> None:
    content = b"\n".join(map(orjson.dumps, objects)) if as_lines else orjson.dumps(objects, option=option)
    path = written(tmp_path_factory.mktemp("same"), content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide_format, "BLOCK_BYTES", block_bytes)
        patch.setattr(guide_format, "MAX_SKIPPED_FRACTION", 1.0)
        found = documents(path)
    key = lambda document: str(document)  # noqa: E731 - those that go the slow way may come later in a block of theirs
    assert sorted(found, key=key) == sorted((each for record in objects for each in expected(record)), key=key)


@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"1," * 500_000 + b"1]",
        b"[" + b"[1]," * 250_000 + b"[1]]",
        b"[" + b'{"x":1},1,' * 100_000 + b"1]",
        b"[" + b'{"x":{"y":1}},' * 70_000 + b"1]",
        b"[" + b'{"x":"},"},' * 90_000 + b"1]",
        b"[" + b'"' * 999_999,
        b'[{"x": "' + b"}," * 500_000 + b'"}]',
        b'[{"x": "' + b"\\" * 1_000_000,
        b'[{"tokens": [' * 80_000,
        b'{"tokens": [' + b"1 " * 500_000 + b"]}",
        b'"tokens": [' * 90_000,
        b"{" + b'"tokens": [1,' * 80_000,
        b"[" + b" " * 1_000_000,
        b"{\n" * 500_000,
        b"\n" * 1_000_000,
        gzip.compress(b" " * 4_000_000, mtime=0),  # the time would make another test of it in each process
    ],
    ids=lambda content: repr(content[:16]),
)
def test_a_megabyte_made_to_be_slow_is_read_to_its_end(tmp_path: Path, content: bytes) -> None:
    # A reader that went over it again for each of its symbols would be at it for days.
    assert documents(written(tmp_path, content)) == []
