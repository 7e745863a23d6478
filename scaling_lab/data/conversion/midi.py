"""MIDI to ABC. Files are read by symusic; what they lack to be notation is found here: a grid, voices, a key, bars.

midi2abc, which symusic's wheel brings along, was tried first: of 987 tunes that abc2midi had made into MIDI it gave
57 % back with the same notes, 74 % with the best of its options, for it drops short notes and knows no uneven triplets.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from scaling_lab.music.abc import RejectedTune
from scaling_lab.music.notation import TICKS_A_QUARTER, Metre, Sound, guessed_key, write_abc

# Of the onsets of written music nearly all lie on a 64th or on a triplet of 32nds, within this share of a quarter.
_GRIDS = (16, 12)
_OFF_GRID = 1 / 128
_MOST_OFF_GRID = 0.1
# Ticks of what notes begin and end on: 32nds and triplets of 16ths before 64ths and triplets of 32nds.
_COARSE, _FINE = (6, 8), (3, 4)
# A sound that ends between those, this share or less before the next, was written to last until then.
_LEGATO = 0.25
_SIXTEENTH = TICKS_A_QUARTER // 4
# An upbeat is assumed only where without it so many more sounds, at least, would be held across bar lines.
_FEWEST_SPARED, _SHARE_SPARED = 3, 0.02
_MOST_VOICES = 16
_DRUMS = "drums are no notation of pitches"
_TONICS_OF_SHARPS = {
    0: ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"),
    1: ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m"),
}


def abc_of_midi(path: str) -> str:
    """The ABC of a MIDI file. Raises `RejectedTune` where it can't be read, or was played rather than written."""
    from symusic import Score

    try:
        score: Any = Score(path)  # symusic's stubs give its factory's type, not the score's
    except Exception as error:
        raise RejectedTune("can't be read as MIDI") from error
    tracks = [track for track in score.tracks if not track.is_drum and len(track.notes)]
    if not tracks:
        raise RejectedTune(_DRUMS if len(score.tracks) else "no notes")
    quarter = score.ticks_per_quarter
    _check_grid([note.time / quarter for track in tracks for note in track.notes])
    voices = [voice for track in tracks for voice in _voices(track.notes, quarter)]
    if len(voices) > _MOST_VOICES:
        raise RejectedTune(f"more than {_MOST_VOICES} voices")
    metres = _metres(score)
    return write_abc(voices, metres, _key(score, voices), _tempo(score), _pickup(voices, metres))


def _check_grid(onsets: Sequence[float]) -> None:
    """Onsets in quarters. Raises `RejectedTune` where too many lie between the notes of any notation."""
    off = sum(all(abs(onset * grid - round(onset * grid)) > _OFF_GRID * grid for grid in _GRIDS) for onset in onsets)
    if off > _MOST_OFF_GRID * len(onsets):
        raise RejectedTune("played freely, not written: its notes lie on no grid")


def _voices(notes: Any, quarter: int) -> list[list[Sound]]:
    """The notes of a track as voices without overlap; notes that begin and end together are a chord."""
    chords: dict[tuple[int, int], set[int]] = {}
    for note in notes:
        begin = _snapped(note.time * TICKS_A_QUARTER / quarter)
        end = max(begin + 1, round((note.time + note.duration) * TICKS_A_QUARTER / quarter))
        # A chord may be struck a little apart, and is let go together.
        chords.setdefault((begin, end), set()).add(note.pitch)
    voices: list[list[Sound]] = []
    # The highest of what begins together goes into the first voice that is free.
    for (begin, end), pitches in sorted(chords.items(), key=lambda item: (item[0][0], -max(item[1]), item[0][1])):
        sound = Sound(begin, end - begin, tuple(sorted(pitches)))
        free = next((voice for voice in voices if voice[-1].end <= begin), None)
        if free is None:
            voices.append([sound])
        else:
            free.append(sound)
    return [_sustained(voice) for voice in voices]


def _snapped(ticks: float) -> int:
    """The nearest place where a note of notation can begin."""
    for steps, within in ((_COARSE, 1.0), (_FINE, TICKS_A_QUARTER)):
        nearest = min((round(ticks / step) * step for step in steps), key=lambda place: abs(place - ticks))
        if abs(nearest - ticks) <= within:
            return nearest
    raise AssertionError("a grid reaches everywhere")


def _sustained(voice: list[Sound]) -> list[Sound]:
    """Sounds as long as they were written: programs let a note end a little early, so that it is heard apart."""
    sustained = []
    for sound, following in zip(voice, [*voice[1:], None], strict=True):
        end = sound.end
        if all(end % step for step in _FINE):
            room = following.onset if following else -(-end // _SIXTEENTH) * _SIXTEENTH
            end = room if room - end <= _LEGATO * (room - sound.onset) else max(_snapped(end), sound.onset + _FINE[0])
        sustained.append(Sound(sound.onset, end - sound.onset, sound.pitches))
    return sustained


def _metres(score: Any) -> list[Metre]:
    """The time signatures; 4/4 where there is none at the beginning."""
    found: dict[int, Metre] = {}
    for signature in score.time_signatures:
        onset = round(signature.time * TICKS_A_QUARTER / score.ticks_per_quarter)
        metre = Metre(onset, signature.numerator, signature.denominator)
        if metre.beats < 1 or metre.unit not in (1, 2, 4, 8, 16) or metre.bar < 1:
            raise RejectedTune("a time signature that no music has")
        found[onset] = metre
    if 0 not in found:
        found[0] = Metre(0, 4, 4)
    metres = [found[onset] for onset in sorted(found)]
    return [
        metre
        for before, metre in zip([None, *metres], metres, strict=False)
        if before is None or (before.beats, before.unit) != (metre.beats, metre.unit)
    ]


def _key(score: Any, voices: Sequence[Sequence[Sound]]) -> str:
    if len(score.key_signatures):
        signature = score.key_signatures[0]
        names = _TONICS_OF_SHARPS.get(signature.tonality, _TONICS_OF_SHARPS[0])
        if -7 <= signature.key <= 7:
            return names[signature.key + 7]
    return guessed_key([pitch for voice in voices for sound in voice for pitch in sound.pitches])


def _tempo(score: Any) -> int | None:
    return round(score.tempos[0].qpm) if len(score.tempos) and score.tempos[0].qpm >= 1 else None


def _pickup(voices: Sequence[Sequence[Sound]], metres: Sequence[Metre]) -> int:
    """Ticks before the first whole bar, 0 for none: MIDI has no bars, so those that fewest sounds are held across."""
    if len(metres) > 1:
        return 0
    bar, step = metres[0].bar, TICKS_A_QUARTER // 2
    crossed: Counter[int] = Counter()
    for voice in voices:
        for sound in voice:
            first = -(-(sound.onset + 1) // step) * step
            crossed.update({line % bar for line in range(first, sound.end, step)})
    candidates = range(0, bar, step)
    least = min(crossed[candidate] for candidate in candidates)
    enough = max(_FEWEST_SPARED, _SHARE_SPARED * sum(map(len, voices)))
    return min(candidates, key=crossed.__getitem__) if crossed[0] - least >= enough else 0
