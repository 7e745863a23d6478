"""Music by size: what each size wrote, to be read and heard side by side, and its measures beside held-out music.

Notation is drawn and notes are sounded by music.js in the reader's browser, from what is said of each tune here.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import hypot
from pathlib import Path

from scaling_lab.history.runs import RunRecord
from scaling_lab.music.notes import TICKS_PER_WHOLE, read_notes
from scaling_lab.music.symbols import split_header
from scaling_lab.report import formats, theme
from scaling_lab.report.tables import Cell, Column, Table
from scaling_lab.sampling.music_file import RunMusic, WrittenTune, read_music, writers
from scaling_lab.studies.analysis import HEADLINE_COUNT

FREE_SHOWN = 3
# What is sounded of a tune at most: nobody listens longer, and repeats of repeats have no end.
MOST_SECONDS, MOST_NOTES, MOST_CHARACTERS = 300, 4_000, 20_000

_NUMBER_LINE = "X:1\n"
_ROWS = {
    "notes_per_tune": "notes a tune",
    "bars_in_metre": "bars in metre",
    "well_formed": "well-formed tunes",
    "repeat_rate": "tunes with a repeat",
    "pitch_class_divergence": "distance of pitch classes, bits",
    "interval_divergence": "distance of intervals, bits",
    "duration_divergence": "distance of durations, bits",
    "novelty": "music new to the training split",
}
_SHARES = ("bars_in_metre", "well_formed", "repeat_rate", "novelty")


@dataclass(frozen=True)
class SizeMusic:
    """One size as it is shown: its run, what it wrote, and its colours on a light and a dark page."""

    run: RunRecord
    music: RunMusic

    @property
    def size(self) -> str:
        return self.run.size

    @property
    def style(self) -> theme.Style:
        return theme.SIZE_STYLES[self.run.size]

    @property
    def facts(self) -> str:
        """Which run wrote, and how good it is."""
        n = formats.count(self.run.parameters[HEADLINE_COUNT])
        return f"{n} parameters, validation loss {formats.fixed(self.music.best_val_loss, 3)}"

    @property
    def shown(self) -> list[WrittenTune]:
        """The tunes that are drawn, in the order of `MusicBySize.choices`."""
        return [*self.music.prompted, *self.music.free[:FREE_SHOWN]]


@dataclass(frozen=True)
class MusicBySize:
    """What the sizes of a study wrote, in order of size; all from one prompt, by one way of drawing."""

    sizes: tuple[SizeMusic, ...]
    without: tuple[str, ...]
    """Sizes that have written nothing that can be shown."""

    @property
    def prompt(self) -> str:
        return self.sizes[0].music.prompt

    @property
    def way(self) -> str:
        """How tokens were drawn."""
        music = self.sizes[0].music
        return (
            f"temperature {music.temperature:g}, top-p {music.top_p:g}, seed {music.seed}, {music.max_tokens:,} tokens "
            "at most"
        )

    @property
    def told_without(self) -> str | None:
        """Which sizes are not shown, and how they would be; None where all are."""
        if not self.without:
            return None
        return (
            f"Not shown: {formats.listed(list(self.without))}, which wrote nothing yet, or in another way than the "
            "others. `scaling-lab sample --results-dir DIR` lets them write."
        )

    @property
    def choices(self) -> list[str]:
        """What a reader can listen to; one tune of each size goes with each."""
        music = self.sizes[0].music
        alike = [f"same beginning, take {number}" for number in range(1, len(music.prompted) + 1)]
        return alike + [f"free {number}" for number in range(1, len(music.free[:FREE_SHOWN]) + 1)]

    def for_script(self) -> str:
        """What music.js draws and plays, as JSON: the tunes of each size, in the order of `choices`."""
        return json.dumps({size.size: [_scored(tune, size.music) for tune in size.shown] for size in self.sizes})


def music_by_size(runs: Sequence[RunRecord], outputs: Path) -> MusicBySize | None:
    """What one run of each size wrote; None where none wrote anything. Sizes with another prompt are left out.

    outputs: where the folders are of runs that were pulled from a server.
    """
    found = [(run, read_music(run, outputs)) for run in writers(runs)]
    sizes = [SizeMusic(run, music) for run, music in found if music is not None and music.free]
    if not sizes:
        return None
    alike = [size for size in sizes if _way(size.music) == _way(sizes[-1].music)]
    there = {size.size for size in alike}
    return MusicBySize(tuple(alike), tuple(run.size for run, _ in found if run.size not in there))


def measures_table(music: MusicBySize) -> Table:
    """A row a measure, a column a size, and the held-out music of the last one beside them; each with its error."""
    columns = [Column(size.size, size.size) for size in music.sizes]
    last = music.sizes[-1].music
    sets = [(size.music.samples, size.music.samples_errors) for size in music.sizes]
    sets.append((last.held_out, last.held_out_errors))
    rows = [
        (
            Cell(title, name),
            *(_measure_cell(name, asdict(measures)[name], errors.get(name)) for measures, errors in sets),
        )
        for name, title in _ROWS.items()
    ]
    return Table(
        (Column("measure", "", numeric=False), *columns, Column("held_out", "held-out music")),
        tuple(rows),
    )


def heard(music: MusicBySize) -> str | None:
    """What changes with size, in a sentence: how many bars fill their metre, smallest and largest size, and real music.

    None where there is but one size, or nothing to measure.
    """
    first, last = music.sizes[0], music.sizes[-1]
    low, high, real = (
        measures.bars_in_metre for measures in (first.music.samples, last.music.samples, last.music.held_out)
    )
    if len(music.sizes) < 2 or low is None or high is None or real is None:
        return None
    errors = [size.music.samples_errors.get("bars_in_metre") or 0.0 for size in (first, last)]
    shares = f"{formats.percent(low, 0)} ({first.size}) to {formats.percent(high, 0)} ({last.size})"
    told = f"Bars that fill their metre rise from {shares}"
    if high - low < 2 * hypot(*errors):
        told = f"Bars that fill their metre are not seen to rise with size: {shares}"
    return f"{told}; in held-out music {formats.percent(real, 0)} do."


def _measure_cell(name: str, value: float | None, error: float | None) -> Cell:
    if value is None:
        return Cell(formats.ABSENT, None)
    scale, places = (100, 0) if name in _SHARES else (1, 0) if name == "notes_per_tune" else (1, 3)
    shown = f"{scale * value:,.{places}f}"
    spread = f" ± {scale * error:,.{places}f}" if error is not None else ""
    return Cell(f"{shown}{spread}{' %' if name in _SHARES else ''}", value)


def _way(music: RunMusic) -> tuple[object, ...]:
    """What must be the same for tunes to be heard side by side."""
    shape = (len(music.prompted), len(music.free))
    return (music.prompt, music.temperature, music.top_p, music.seed, music.max_tokens, *shape)


def _scored(tune: WrittenTune, music: RunMusic) -> dict[str, object]:
    """abc: as it was written. drawn: the same for drawing, and given how many characters of that are the prompt's.

    notes: what is sounded, [onset ms, length ms, pitch].
    """
    given = len(music.prompt) if music.prompt and tune in music.prompted else 0
    drawn, dropped = _without_open_slurs(tune.text)
    return {
        "abc": _NUMBER_LINE + tune.text,
        "drawn": _NUMBER_LINE + drawn,
        "given": len(_NUMBER_LINE) + given - sum(place < given for place in dropped) if given else 0,
        "ended": tune.ended,
        "notes": _sounded(tune.text),
    }


def _without_open_slurs(text: str) -> tuple[str, list[int]]:
    """The tune without slurs that never end or never began, and the places they were at.

    Drawn, they would go from line to line over all that follows.
    """
    head, key, body = split_header(text)
    begin, opened, dropped = len(head + key), [], []
    # Not the `(3` of a tuplet, nor what stands in quotes or in a field.
    for found in re.finditer(r'"[^"\n]*"|\[[A-Za-z]:[^\]\n]*\]|\((?!\d)|\)', body if key else ""):
        place = begin + found.start()
        if found[0] == "(":
            opened.append(place)
        elif found[0] == ")" and opened:
            opened.pop()
        elif found[0] == ")":
            dropped.append(place)
    dropped = sorted(dropped + opened)
    gone = set(dropped)
    kept = [character for place, character in enumerate(text) if place not in gone] if dropped else [text]
    return "".join(kept), dropped


def _sounded(text: str) -> list[list[int]]:
    """The notes of a tune, repeats played out, in order of onset: [onset ms, length ms, MIDI pitch]."""
    score = read_notes(text[:MOST_CHARACTERS], unfold=True)
    # Absurd tempos are held to what can be heard.
    beat = 60_000 / min(max(score.quarters_per_minute, 20), 600)
    a_tick = 4 * beat / TICKS_PER_WHOLE
    notes = sorted(
        [round(float(note.onset) * a_tick), max(round(float(note.duration) * a_tick), 1), note.pitch]
        for note in score.notes
        if 0 <= note.pitch <= 127 and float(note.onset) * a_tick < 1000 * MOST_SECONDS
    )
    return notes[:MOST_NOTES]
