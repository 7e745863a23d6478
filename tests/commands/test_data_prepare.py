"""`scaling-lab data prepare`: a folder of music of any format becomes a dataset that can be trusted."""

import gzip
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import mido
import pytest
from cli_in_process import CommandLine

from scaling_lab.data.dataset import open_dataset
from scaling_lab.music.abc import canonical
from scaling_lab.music.transpose import transposed

MUSICXML = """<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="3.1">
  <part-list><score-part id="P1"><part-name>Flute</part-name></score-part></part-list>
  <part id="P1">{bars}</part>
</score-partwise>
"""
BAR = (
    "<measure number='{number}'><attributes><divisions>1</divisions><key><fifths>1</fifths></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>"
    "{notes}</measure>"
)
NOTE = "<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"


def tune(seed: int, n_bars: int = 8) -> str:
    """ABC of eight notes a bar, different for every seed."""
    source = random.Random(seed)
    bars = ["".join(source.choices("CDEFGABcdefgab", k=8)) for _ in range(n_bars)]
    return f"X:{seed}\nT:Tune {seed}\nM:4/4\nL:1/8\nK:D\n{'|'.join(bars)}|\n"


def write_tunes(folder: Path, seeds: range) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / f"{seed}.abc").write_text(tune(seed))
    return folder


def write_midi(path: Path, pitches: list[int]) -> None:
    """Quarters at 480 ticks, let go a little early, as notation programs do."""
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    track += [
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.MetaMessage("key_signature", key="G"),
    ]
    for pitch in pitches:
        track += [mido.Message("note_on", note=pitch, velocity=80, time=24 if track[-1].type == "note_off" else 0)]
        track += [mido.Message("note_off", note=pitch, time=456)]
    file.tracks.append(track)
    file.save(path)


def records(dataset: Path, split: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (dataset / split / "data.json").read_text().splitlines()]


def test_a_folder_of_tunes_becomes_a_dataset_that_trains(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(60))
    (folder / "tunes" / "again.abc").write_text(tune(3).replace("Tune 3", "Another name") + "\n" + "X:1\nK:C\nabc|\n")
    (folder / "tunes" / "notes.txt").write_text("no music")
    ended = scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--json", "--plan", "1000000")
    assert ended.code == 0
    said = json.loads(ended.out)
    assert said["tunes_read"] == 62
    assert said["exact_duplicates"] == 1
    assert said["rejected"] == {"fewer than 16 notes": 1}
    assert said["ignored_files"] == {".txt": 1}
    assert [json.loads(line) for line in (folder / "out/rejects.jsonl").read_text().splitlines()] == [
        {"place": "again.abc#2", "reason": "fewer than 16 notes"}
    ]
    documents = {split: counts["documents"] for split, counts in said["splits"].items()}
    assert sum(documents.values()) == said["tunes"] == 60
    assert said["splits"]["train"]["notes"] == 64 * documents["train"]
    full_tiny = said["sizes"][0]
    assert full_tiny["tokens"] == 20 * full_tiny["n"]
    assert "fewer than 16 notes | 1 |" in (folder / "out/README.md").read_text()
    assert scaling_lab("data", "validate", "out").code == 0
    assert (
        "loss"
        in scaling_lab(
            *("train", "--ladder", "mini", "--size", "tiny", "--data-dir", "out", "--tracking", "disabled"),
            *("--tokens", "4096", "--batch-size-tokens", "2048"),
        ).out
    )


def test_the_text_says_what_the_data_are_worth(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(40))
    ended = scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--plan", "1000000", "--context", "64")
    table = {cells[0]: cells[1:] for cells in (re.split(r"  +", line) for line in ended.out.splitlines())}
    assert ended.code == 0
    assert "1,000,000 tokens are" in ended.out
    assert table["full xl"][0] == "157,312,000"
    assert int(table["longer than 64"][0]) == len(records(folder / "out", "train"))
    assert ended.out.rstrip().endswith("in out; next: scaling-lab study --data-dir out")


def test_every_format_is_read_and_told_by_its_name(folder: Path, scaling_lab: CommandLine) -> None:
    music = write_tunes(folder / "music", range(20))
    for number in range(10):
        source = random.Random(number)
        write_midi(music / f"{number}.mid", source.choices(range(60, 80), k=24))
        steps = source.choices("CDEFGAB", k=24)
        bars = [
            BAR.format(number=begin, notes="".join(NOTE.format(step=step) for step in steps[begin : begin + 4]))
            for begin in range(0, 24, 4)
        ]
        (music / f"{number}.musicxml").write_text(MUSICXML.format(bars="".join(bars)))
    with gzip.open(music / "more.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"abc": tune(seed)}) + "\n" for seed in range(100, 110))
    ended = scaling_lab("data", "prepare", "--input", "music", "--out", "out", "--json")
    assert json.loads(ended.out)["tunes"] == 50
    texts = {
        str(record["midi_path"]): str(record["abc"]) for s in ("train", "val") for record in records(folder / "out", s)
    }
    assert len({place.split("#")[0].split(".", 1)[1] for place in texts}) == 4
    midi = next(text for place, text in texts.items() if place.endswith(".mid"))
    assert midi.startswith("M:3/4\nL:1/8\nK:G\n")
    assert midi.count("2") >= 24  # quarters, without the rests that they were let go early for
    assert "z" not in midi
    alone = scaling_lab("data", "prepare", "--input", "music", "--out", "alone", "--format", "midi", "--json")
    assert json.loads(alone.out)["tunes_read"] == 10


def test_given_splits_are_kept_and_nothing_held_out_is_trained_on(folder: Path, scaling_lab: CommandLine) -> None:
    def write(split: str, tunes: list[str]) -> None:
        (folder / "guide" / split).mkdir(parents=True)
        (folder / "guide" / split / "data.json").write_text(
            json.dumps([{"abc": text, "tokens": [1]} for text in tunes])
        )

    near = tune(1).replace("|", "||", 1)  # another text of the same melody
    higher = transposed(canonical(tune(2)), 3)
    write("train", [*map(tune, range(3, 30)), tune(1), near, higher])
    write("valid", [tune(1), tune(2)])
    said = json.loads(scaling_lab("data", "prepare", "--input", "guide", "--out", "out", "--json").out)
    assert said["splits"]["val"]["documents"] == 2
    assert said["splits"]["train"]["documents"] == 27
    assert (said["exact_duplicates"], said["near_duplicates"]) == (1, 2)


def test_transposed_copies_are_of_training_tunes_alone(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(40))
    said = json.loads(scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--transpose", "--json").out)
    keys = [
        next(line for line in str(r["abc"]).splitlines() if line[:2] == "K:") for r in records(folder / "out", "train")
    ]
    n_tunes = len(keys) // 12
    assert said["copies"] == 11 * n_tunes
    assert {key: keys.count(key) for key in set(keys)} == dict.fromkeys(keys, n_tunes)
    assert {"K:D" in str(record["abc"]) for record in records(folder / "out", "val")} == {True}


def test_bpe_is_trained_on_train_and_gives_the_texts_back(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(60))
    said = json.loads(
        scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--tokenizer", "bpe:300", "--json").out
    )
    dataset = open_dataset(folder / "out")
    assert dataset.tokenizer is not None
    assert (
        dataset.tokenizer.decode(dataset.val.tokens[: dataset.val.offsets[1]])
        == records(folder / "out", "val")[0]["abc"]
    )
    assert said["splits"]["train"]["tokens"] < 0.7 * said["splits"]["train"]["characters"]


def test_a_dry_run_says_the_same_and_keeps_nothing(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(30))
    dry = scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--dry-run", "--json")
    assert [path.name for path in folder.iterdir()] == ["tunes"]
    assert dry.out == scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--json").out


@pytest.mark.slow
def test_killed_it_leaves_nothing_that_looks_whole_and_goes_on_where_it_was(folder: Path) -> None:
    tunes = folder / "tunes"
    tunes.mkdir()
    for book in range(12):
        (tunes / f"{book:02}.abc").write_text("\n".join(tune(1000 * book + number, 24) for number in range(900)))
    command = [sys.executable, "-m", "scaling_lab", "data", "prepare", "--input", "tunes", "--out", "out", "--json"]
    kept = folder / ".out.converted" / "converted.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not kept.exists() or kept.read_bytes().count(b"\n") < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "out").exists()
    whole = kept.read_bytes()[: kept.read_bytes().rindex(b"\n")]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["tunes_read"] == 12 * 900
    assert not kept.exists()
    fresh = subprocess.run([*command[:-2], "fresh", "--json"], capture_output=True, text=True, check=True)
    assert again.stdout == fresh.stdout
    assert whole.count(b"\n") >= 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "out"), "give either --input DIR, or --source"),
        (("--input", "nowhere", "--out", "out"), "nowhere: there is no such file or folder"),
        (("--input", "empty", "--out", "out"), "no music there; looked for files that end in .abc"),
        (("--input", "tunes", "--out", "tunes/out"), "lies inside --input tunes"),
        (("--input", "tunes", "--out", "full"), "full: holds something that was not prepared here"),
        (("--input", "tunes", "--out", "out", "--tokenizer", "bpe:7"), "must be char, or bpe:N"),
        (("--input", "short", "--out", "out"), "fewer than 16 notes: 1"),
        (("--input", "thesession-data", "--out", "out"), "its licence forbids their use for training"),
        (("--input", "records", "--out", "out"), "TheSession"),
    ],
)
def test_what_can_not_serve_is_refused_with_what_to_do(
    folder: Path, scaling_lab: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    write_tunes(folder / "tunes", range(3))
    write_tunes(folder / "thesession-data", range(3))
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("Dear Anna")
    (folder / "short").mkdir()
    (folder / "short" / "one.abc").write_text("X:1\nK:C\nabc|\n")
    (folder / "records").mkdir()
    record = {"tune_id": "1", "setting_id": "2", "name": "A", "abc": tune(1)}
    (folder / "records" / "tunes.json").write_text(json.dumps([record]))
    ended = scaling_lab("data", "prepare", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert not (folder / "out").exists()


def test_a_tune_that_says_it_is_from_thesession_is_left_out(folder: Path, scaling_lab: CommandLine) -> None:
    write_tunes(folder / "tunes", range(30))
    (folder / "tunes" / "31.abc").write_text(tune(31).replace("M:4/4", "S:https://thesession.org/tunes/1\nM:4/4"))
    said = json.loads(scaling_lab("data", "prepare", "--input", "tunes", "--out", "out", "--json").out)
    assert said["rejected"] == {"from TheSession, whose licence forbids training": 1}
