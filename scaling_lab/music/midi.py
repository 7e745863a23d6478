"""A tune as a MIDI file, to be listened to: one track a voice, all on a piano, repeats played out.

The same tune gives the same bytes on every machine.
"""

import io
from pathlib import Path

import mido

from scaling_lab.files import written_whole
from scaling_lab.music.notes import TICKS_PER_WHOLE, Note, Ticks, read_notes

TICKS_PER_QUARTER = 480  # of the file

_PIANO = 0
_VELOCITY = 80
_CHANNELS = [channel for channel in range(16) if channel != 9]  # the tenth is for drums
_SLOWEST = 2**24 - 1  # microseconds a quarter: the format has three bytes for it
_LAST_TICK = 2**27  # the format has 28 bits between two events


def write_midi(tune: str, path: Path) -> None:
    """Write a canonical tune as a MIDI file, whole or not at all. A tune without notes gives a file without tracks."""
    with written_whole(path) as stream:
        stream.write(midi_bytes(tune))


def midi_bytes(tune: str) -> bytes:
    """A canonical tune as a standard MIDI file of type 1. What can't be understood, or is out of range, is left out."""
    score = read_notes(tune, unfold=True)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER)
    tempo = min(max(round(60_000_000 / score.quarters_per_minute), 1), _SLOWEST)
    file.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)]))
    voices: dict[str, list[Note]] = {}
    for note in score.notes:
        if 0 <= note.pitch <= 127:
            voices.setdefault(note.voice, []).append(note)
    for place, notes in enumerate(voices.values()):
        file.tracks.append(_track(notes, _CHANNELS[place % len(_CHANNELS)]))
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def _track(notes: list[Note], channel: int) -> mido.MidiTrack:
    track = mido.MidiTrack([mido.Message("program_change", program=_PIANO, channel=channel)])
    # At one moment notes end before others begin: a repeated note is heard twice.
    events = [(_file_ticks(note.onset), 1, note.pitch) for note in notes]
    events += [(_file_ticks(note.onset + note.duration), 0, note.pitch) for note in notes]
    now = 0
    for tick, begins, pitch in sorted(events):
        kind = "note_on" if begins else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=_VELOCITY, time=tick - now, channel=channel))
        now = tick
    return track


def _file_ticks(ticks: Ticks) -> int:
    return min(round(ticks * 4 * TICKS_PER_QUARTER / TICKS_PER_WHOLE), _LAST_TICK)
