"""YAML as a person means it: values, positions, and what is refused."""

import time
from pathlib import Path

import pytest

from scaling_lab.config.yaml_reader import parse_yaml, read_scalar, read_yaml
from scaling_lab.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("3e-4", 0.0003),
        ("1e6", 1_000_000.0),
        ("-2.5E+3", -2500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("512_000", 512_000),
        ("007", 7),
        ("-3", -3),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("2024-01-31", "2024-01-31"),
        ("1:30", "1:30"),
        ("1__0", "1__0"),
        ("512,000", "512,000"),
        ("e3", "e3"),
        ("٣", "٣"),
    ],
)
def test_a_word_means_what_a_person_means_by_it(word: str, meaning: object) -> None:
    value = read_scalar(word)
    assert value == meaning
    assert type(value) is type(meaning)


def test_infinity_and_not_a_number_are_read_as_floats() -> None:
    assert read_scalar("-.inf") == float("-inf")
    assert str(read_scalar(".nan")) == "nan"


def test_every_key_and_item_has_its_line_and_column() -> None:
    document = parse_yaml("size: tiny\nmodel:\n  d_model: 64\ntracking: {tags: [a, b]}\n", "run.yaml")
    assert document.values == {"size": "tiny", "model": {"d_model": 64}, "tracking": {"tags": ["a", "b"]}}
    assert document.positions == {
        ("size",): (1, 1),
        ("model",): (2, 1),
        ("model", "d_model"): (3, 3),
        ("tracking",): (4, 1),
        ("tracking", "tags"): (4, 12),
        ("tracking", "tags", 0): (4, 19),
        ("tracking", "tags", 1): (4, 22),
    }
    assert document.place(("model", "d_model")) == "run.yaml:3:3"


def test_quotes_keep_a_number_a_word() -> None:
    assert parse_yaml("a: '1'\nb: \"true\"\nc: |\n  3\n", "f").values == {"a": "1", "b": "true", "c": "3\n"}


def test_keys_are_always_words() -> None:
    assert parse_yaml("1: a\non: b\nnull: c\n", "f").values == {"1": "a", "on": "b", "null": "c"}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "--- ~\n"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert parse_yaml(text, "f").values == {}


REFUSED = {
    "duplicate": ("a: 1\nb: 2\na: 3\n", "f:3:1: a: given twice, first on line 1; keep one"),
    "nested duplicate": ("s:\n  a: 1\n  a: 2\n", "f:3:3: s.a: given twice, first on line 2; keep one"),
    "tab as indent": ("s:\n\ta: 1\n", "f:2:1: syntax: a tab where YAML wants spaces; indent with spaces"),
    "tab before value": ("a:\t1\n", "f:1:3: syntax: a tab where YAML wants spaces"),
    "list on top": ("- a\n", "f:1:1: file: not a mapping at its top level; write `key: value`"),
    "word on top": ("hello\n", "f:1:1: file: not a mapping at its top level"),
    "python tag": (
        "a: !!python/object/apply:os.system [ls]\n",
        "f:1:4: a: !!python/object/apply:os.system is a tag; write",
    ),
    "own tag": ("a: !mine 3\n", "f:1:4: a: !mine is a tag; write a plain value"),
    "anchor": ("a: &x 1\n", "f:1:4: a: &x is an anchor; write the value out"),
    "alias": ("a: 1\nb: *x\n", "f:2:4: b: *x is an alias; write the value out"),
    "second document": ("a: 1\n---\nb: 2\n", "f:2:1: file: a second document; keep one"),
    "second colon": ("a: b: c\n", "f:1:5: syntax: a `:` that fits nothing here; quote the value"),
    "open quotes": ("a: 'x\n", "f:2:1: syntax: quotes or brackets are opened and never closed; close them"),
    "open brackets": ("a: [1, 2\n", "f:2:1: syntax: brackets are opened and never closed"),
    "bad indent": ("s:\n    a: 1\n  b: 2\n", "f:3:3: syntax: the indentation does not line up; give the keys"),
    "unknown escape": ('a: "C:\\data"\n', "f:1:8: syntax: an unknown escape in double quotes; use single quotes"),
    "at sign": ("a: @x\n", "f:1:4: syntax: a character that cannot start a value; put the value in quotes"),
    "key that is a list": ("? [a]\n: 1\n", "f:1:3: file: a key that is itself a list or a mapping; write"),
    "NUL": ("a: b\0c\n", "f:1:5: file: NUL in a text file; take it out"),
    "bell": ("a: 1\nb: \a\n", "f:2:4: file: character U+0007 in a text file; take it out"),
    "escaped NUL": ('a: "x\\0"\n', "f:1:4: a: an escape that stands for no character; take it out"),
    "lone surrogate": ('a: "\\ud800"\n', "f:1:4: a: an escape that stands for no character; take it out"),
    "beyond Unicode": ('a: "\\UFFFFFFFF"\n', "f:1:7: syntax: a number or escape out of all bounds"),
    "too deep": ("a: " + "[" * 20 + "]" * 20, "f:1:12: a.0: nested more than 8 deep"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_plain_yaml_is_refused_with_its_position(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_yaml(text, "f")
    assert str(refused.value).startswith(message)


def test_all_duplicates_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"f:2:1: a: .*\nf:4:1: b: "):
        parse_yaml("a: 1\na: 2\nb: 1\nb: 2\n", "f")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",  # the bomb that doubles with every line
        "[" * 300_000,
        "- " * 150_000,
        "? " * 150_000,
        "a: [" + "1," * 150_000,
        "".join(f"k{n}: 1\n" for n in range(50_000)),
    ],
    ids=["aliases", "brackets", "dashes", "questions", "items", "keys"],
)
def test_a_hostile_file_is_refused_before_it_costs_anything(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError):
        parse_yaml(text, "f")
    assert time.process_time() - began < 5


def test_a_byte_order_mark_is_accepted(folder: Path) -> None:
    file = folder / "bom.yaml"
    file.write_bytes("\ufeffsize: tiny\n".encode())
    assert read_yaml(file).values == {"size": "tiny"}
    assert read_yaml(file).positions == {("size",): (1, 1)}


def test_windows_line_ends_are_accepted(folder: Path) -> None:
    file = folder / "crlf.yaml"
    file.write_bytes(b"size: tiny\r\nseed: 3\r\n")
    assert read_yaml(file).values == {"size": "tiny", "seed": 3}
    assert read_yaml(file).place(("seed",)) == f"{file}:2:1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: caf\xe9\n", "f:2:7: file: not UTF-8; save it as UTF-8"),
        ("size: tiny\n".encode("utf-16"), "f:1:1: file: not UTF-8"),
        (b"#" * 1_000_001, "f: more than 1,000,000 bytes"),
    ],
    ids=["latin-1", "utf-16", "too large"],
)
def test_a_file_that_is_no_text_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "f").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_yaml(Path("f"))
    assert str(refused.value).startswith(message)


def test_a_missing_file_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"^gone\.yaml: no such file; check the path"):
        read_yaml(Path("gone.yaml"))


def test_a_folder_is_not_a_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="this is a folder; name the YAML file inside it"):
        read_yaml(folder)
