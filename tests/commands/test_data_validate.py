"""`scaling-lab data validate`: what it says of a dataset that can serve, and of one that can't."""

import json
from pathlib import Path

import pytest
from cli_in_process import CommandLine
from corpora import write_corpus, write_split

GOOD = {"midi_path": "a.mid", "abc": "abc", "tokens": [1, 2, 3]}


@pytest.fixture
def music(folder: Path) -> Path:
    return write_corpus(folder / "music")


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def test_a_dataset_that_can_serve_is_told_by_split_and_left_as_it_is(music: Path, scaling_lab: CommandLine) -> None:
    write_split(music, "test", ["ABC", "DEF"])
    before = everything_in(music)
    ended = scaling_lab("data", "validate", "music")
    assert ended.code == 0
    table = {words[0]: words[1:] for words in map(str.split, ended.out.splitlines())}
    assert table["train"] == ["val", "test"]
    assert table["documents"] == ["60", "8", "2"]
    assert table["tokens"][2] == "10"
    assert table["characters"][2] == "6"
    assert "vocabulary 20, BOS 18, EOS 19" in ended.out
    assert ended.out.rstrip().endswith("can serve")
    assert "no meta.json" in ended.err
    assert everything_in(music) == before


def test_what_training_would_read_is_what_is_told(music: Path, scaling_lab: CommandLine) -> None:
    ids = ("--vocab-size", "40", "--bos-id", "30", "--eos-id", "31")
    found = json.loads(scaling_lab("data", "validate", "music", *ids, "--json").out)
    options = ("-o", "data.vocab_size=40", "-o", "data.bos_id=30", "-o", "data.eos_id=31")
    small = ("--ladder", "mini", "--size", "tiny", "--batch-size-tokens", "64", "-o", "data.sequence_length=32")
    planned = scaling_lab("train", "--data-dir", "music", "--dry-run", "--json", *options, *small)
    assert found["fingerprint"] == json.loads(planned.out)["data"]["fingerprint"]
    assert (found["vocab_size"], found["bos_id"], found["eos_id"]) == (40, 30, 31)


def test_records_left_out_are_counted_by_reason_and_the_first_are_placed(music: Path, scaling_lab: CommandLine) -> None:
    (music / "train" / "data.json").write_text(lines(*[GOOD] * 300, {"tokens": []}, {"abc": "a"}, {"tokens": []}))
    ended = scaling_lab("data", "validate", "music")
    assert ended.code == 0
    assert next(line for line in ended.out.splitlines() if "tokens is empty" in line).split()[-2:] == ["2", "0"]
    byte = len(lines(*[GOOD] * 300))
    assert f"left out: music/train/data.json: record 301 at byte {byte:,}: tokens is empty" in ended.out
    assert f"record 302 at byte {byte + len(lines({'tokens': []})):,}: no tokens" in ended.out


def test_a_val_split_that_is_drawn_has_a_column_and_no_records_left_out(folder: Path, scaling_lab: CommandLine) -> None:
    write_split(folder / "music", "train", [f"AB{letter}" * 3 for letter in "ABCDEFGabcdefg"])
    found = json.loads(scaling_lab("data", "validate", "music", "--json").out)
    assert found["splits"]["val"]["file"] is None
    assert found["splits"]["val"]["documents"] >= 1
    assert any("no val split" in warning for warning in found["warnings"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            lines(*[GOOD] * 50, {"tokens": [1, "2"]}),
            "a token is a string: 1), the first of them record 51 at byte 2,900",
        ),
        (lines(GOOD)[:-9], "cut off at byte 49, inside record 1 that begins at byte 0"),
        (lines(GOOD, GOOD | {"tokens": [10]}), "record 2 (a.mid) at byte 58: token id 10 is not below"),
        ("midi_path,abc\n", "neither a JSON array nor JSONL"),
        ("", "there is no document in it"),
    ],
)
def test_one_that_cannot_serve_is_told_with_file_record_byte_and_reason(
    music: Path, scaling_lab: CommandLine, content: str, words: str
) -> None:
    (music / "val" / "data.json").write_text(content)
    (music / "meta.json").write_text('{"vocab_size": 10}')
    (music / "train" / "data.json").write_text(lines(GOOD | {"tokens": [5]}))
    ended = scaling_lab("data", "validate", "music")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("music/val/data.json: ")
    assert words in ended.err


@pytest.mark.parametrize(
    "change", [{"abc": "S:https://TheSession.org/tunes/1\nK:G\nabc"}, {"midi_path": "thesession.org/1.mid"}]
)
def test_tunes_of_thesession_are_pointed_out(music: Path, scaling_lab: CommandLine, change: dict[str, str]) -> None:
    with (music / "train" / "data.json").open("a") as stream:
        stream.write(lines(GOOD | change))
    ended = scaling_lab("data", "validate", "music")
    assert ended.code == 0
    assert "warning: train: names thesession.org; its licence forbids use for training since 2025-10" in ended.err


def test_a_folder_that_is_no_dataset_is_refused(folder: Path, scaling_lab: CommandLine) -> None:
    ended = scaling_lab("data", "validate", "nowhere")
    assert (ended.code, ended.out) == (2, "")
    assert "there is no such folder" in ended.err
