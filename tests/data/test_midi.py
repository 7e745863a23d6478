"""MIDI becomes notation: what is found in notes that were let go early, struck apart, or played freely."""

import random
from collections.abc import Sequence
from pathlib import Path

import mido
import pytest

from scaling_lab.data.conversion.midi import abc_of_midi
from scaling_lab.music.abc import RejectedTune

QUARTER = 480
Note = tuple[float, float, int]


def write(path: Path, *tracks: Sequence[Note], metre: tuple[int, int] = (4, 4), channel: int = 0) -> str:
    """A MIDI file of (onset, duration, pitch) in quarters, one track each; its path."""
    file = mido.MidiFile(ticks_per_beat=QUARTER)
    head = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1])])
    file.tracks.append(head)
    for notes in tracks:
        events = [(round(QUARTER * onset), "note_on", pitch) for onset, _, pitch in notes]
        events += [(round(QUARTER * (onset + duration)), "note_off", pitch) for onset, duration, pitch in notes]
        events.sort(key=lambda event: (event[0], event[1] == "note_on"))
        track = mido.MidiTrack()
        now = 0
        for ticks, kind, pitch in events:
            track.append(mido.Message(kind, note=pitch, time=ticks - now, channel=channel))
            now = ticks
        file.tracks.append(track)
    file.save(path)
    return str(path)


def row(pitches: Sequence[int], duration: float, begin: float = 0.0, *, held: float = 1.0) -> list[Note]:
    """Notes one after the other, each held for a share of its duration."""
    return [(begin + place * duration, duration * held, pitch) for place, pitch in enumerate(pitches)]


def music(abc: str) -> str:
    """The lines after the key."""
    return abc[abc.index("\n", abc.index("K:")) + 1 :]


SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


@pytest.mark.parametrize("held", [1.0, 0.95, 0.9, 0.8])
def test_notes_that_are_let_go_early_are_as_long_as_they_were_written(tmp_path: Path, held: float) -> None:
    path = write(tmp_path / "a.mid", row(SCALE, 0.5, held=held) + row(SCALE[:4], 1.0, 4.0, held=held))
    assert music(abc_of_midi(path)) == "CD EF GA Bc|C2 D2 E2 F2|\n"


def test_rests_dots_and_ties_over_bars(tmp_path: Path) -> None:
    notes = [(0.0, 1.5, 60), (1.5, 0.5, 62), (3.0, 3.0, 64), (6.0, 2.0, 65)]
    assert music(abc_of_midi(write(tmp_path / "a.mid", notes))) == "C3D z2 E2-|E4 F4|\n"


def test_triplets_even_and_uneven(tmp_path: Path) -> None:
    notes = [*row((60, 62, 64), 1 / 3), (1.0, 2 / 3, 65), (1 + 2 / 3, 1 / 3, 67), (2.0, 2.0, 69)]
    assert music(abc_of_midi(write(tmp_path / "a.mid", notes))) == "(3CDE (3:2:2F2G A4|\n"


def test_accidentals_hold_to_the_end_of_the_bar_and_lean_as_the_key_does(tmp_path: Path) -> None:
    sharp = row((67, 66, 66, 65), 1.0) + row((66, 68, 67, 74), 1.0, 4.0) + row((67, 71, 74, 79), 1.0, 8.0)
    assert music(abc_of_midi(write(tmp_path / "a.mid", sharp))) == "G2 F2 F2 =F2|F2 ^G2 =G2 d2|G2 B2 d2 g2|\n"
    flat = row((65, 70, 69, 72, 65, 70, 77, 66), 0.5) + row((65, 67, 69, 70), 1.0, 4.0)
    assert music(abc_of_midi(write(tmp_path / "b.mid", flat))) == "FB Ac FB f_G|F2 G2 A2 B2|\n"


def test_a_chord_is_one_though_struck_a_little_apart_and_voices_are_told_by_tracks(tmp_path: Path) -> None:
    chord = [(0.0, 2.0, 60), (0.002, 1.998, 64), (0.004, 1.996, 67), (2.0, 2.0, 72)]
    below = row((48, 47, 45, 43), 1.0)
    assert abc_of_midi(write(tmp_path / "a.mid", chord, below)).endswith(
        "K:C\nV:1\n[CEG]4 c4|\nV:2\nC,2 B,,2 A,,2 G,,2|\n"
    )
    held = [(0.0, 4.0, 60), (0.0, 2.0, 72), (2.0, 2.0, 74)]
    assert "V:1\nc4 d4|\nV:2\nC8|\n" in abc_of_midi(write(tmp_path / "b.mid", held))


def test_an_upbeat_is_found_where_bars_would_cut_notes(tmp_path: Path) -> None:
    notes = [(0.0, 1.0, 62)]
    for number in range(4):
        notes += [(1 + 6 * number, 3.0, 60), *row((62, 64, 65), 1.0, 4 + 6 * number)]
    text = music(abc_of_midi(write(tmp_path / "a.mid", notes, metre=(3, 4))))
    assert text.startswith("D2|C6|D2 E2 F2|C6|")
    assert "-" not in text


def test_compound_time_is_beamed_in_threes(tmp_path: Path) -> None:
    assert music(abc_of_midi(write(tmp_path / "a.mid", row(SCALE[:6] * 2, 0.5), metre=(6, 8)))) == "CDE FGA|CDE FGA|\n"


def test_what_is_no_notation_is_rejected_with_its_reason(tmp_path: Path) -> None:
    source = random.Random(0)
    free = [(0.5 * number + source.uniform(-0.2, 0.2), 0.3, 60) for number in range(1, 200)]
    with pytest.raises(RejectedTune, match="played freely"):
        abc_of_midi(write(tmp_path / "a.mid", free))
    with pytest.raises(RejectedTune, match="drums"):
        abc_of_midi(write(tmp_path / "b.mid", row(SCALE, 1.0), channel=9))
    with pytest.raises(RejectedTune, match="no notes"):
        abc_of_midi(write(tmp_path / "c.mid"))
    (tmp_path / "d.mid").write_bytes(b"MThd" + bytes(40))
    with pytest.raises(RejectedTune, match="can't be read as MIDI"):
        abc_of_midi(str(tmp_path / "d.mid"))
