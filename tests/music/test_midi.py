import io
from pathlib import Path

import mido
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.music.midi import TICKS_PER_QUARTER, midi_bytes, write_midi

DUET = "M:2/4\nL:1/8\nQ:1/4=90\nK:D\n[V:1]|:F2 [FA]2:|[V:2]|:D,4:|\n[V:1]c4|[V:2](3A,2B,2C2|\n"


def heard(file: mido.MidiFile) -> list[list[tuple[float, str, int]]]:
    """For each track with notes (onset in quarters, kind, pitch) of each event."""
    tracks = []
    for track in file.tracks[1:]:
        now, events = 0, []
        for message in track:
            now += message.time
            if message.type in ("note_on", "note_off"):
                events.append((now / TICKS_PER_QUARTER, message.type, message.note))
        tracks.append(events)
    return tracks


def test_a_file_has_a_track_for_each_voice_with_repeats_played_out(tmp_path: Path):
    write_midi(DUET, tmp_path / "duet.mid")
    file = mido.MidiFile(tmp_path / "duet.mid")
    assert [message.tempo for message in file.tracks[0] if message.type == "set_tempo"] == [round(60e6 / 90)]
    upper, lower = heard(file)
    begins = [(onset, pitch) for onset, kind, pitch in upper if kind == "note_on"]
    assert begins == [(0, 66), (1, 66), (1, 69), (2, 66), (3, 66), (3, 69), (4, 73)]
    assert [(onset, pitch) for onset, kind, pitch in lower if kind == "note_off"][:2] == [(2, 50), (4, 50)]
    assert abs(file.length - 6 * 60 / 90) < 0.01


def test_a_repeated_note_ends_before_it_begins_again():
    (events,) = heard(mido.MidiFile(file=io.BytesIO(midi_bytes("L:1/4\nK:C\nAA"))))
    assert [kind for _, kind, _ in events] == ["note_on", "note_off", "note_on", "note_off"]


def test_the_same_tune_gives_the_same_bytes():
    assert midi_bytes(DUET) == midi_bytes(DUET)


@given(st.text(alphabet="ABcz|:[]{}()0123456789/<>-_^=&ZQ \nKVML,'", max_size=80))
def test_a_file_of_any_text_can_be_read_back(music: str):
    assert mido.MidiFile(file=io.BytesIO(midi_bytes(f"Q:1/4=1\nK:C\nA{music}"))).tracks
