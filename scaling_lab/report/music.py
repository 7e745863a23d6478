"""Music by size: what each size wrote, to be read and heard side by side, and its measures beside held-out music.

Notation is drawn and notes are sounded by music.js in the reader's browser, from what is said of each tune here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scaling_lab.history.runs import RunRecord
from scaling_lab.music.measures import Measures
from scaling_lab.music.notes import TICKS_PER_WHOLE, read_notes
from scaling_lab.report import formats, theme
from scaling_lab.report.tables import Cell, Column, Table
from scaling_lab.sampling.music_file import RunMusic, WrittenTune, read_music, writers
from scaling_lab.studies.analysis import HEADLINE_COUNT

FREE_SHOWN = 3
# What is sounded of a tune at most: nobody listens longer, and repeats of repeats have no end.
MOST_SECONDS, MOST_NOTES = 300, 4_000

_NUMBER_LINE = "X:1\n"
_ROWS = {
    "notes_per_tune": "notes a tune",
    "bars_in_metre": "bars in metre",
    "well_formed": "tunes that end properly",
    "repeat_rate": "tunes with a repeat",
    "pitch_class_divergence": "pitch classes off, bits",
    "interval_divergence": "intervals off, bits",
    "duration_divergence": "durations off, bits",
    "novelty": "new to the training music",
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
        return f"temperature {music.temperature:g}, top-p {music.top_p:g}, seed {music.seed}"

    @property
    def choices(self) -> list[str]:
        """What a reader can listen to; one tune of each size goes with each."""
        music = self.sizes[0].music
        alike = [f"same beginning {number}" for number in range(1, len(music.prompted) + 1)]
        return alike + [f"free {number}" for number in range(1, len(music.free[:FREE_SHOWN]) + 1)]

    def for_script(self) -> str:
        """What music.js draws and plays, as JSON: the tunes of each size, in the order of `choices`."""
        return json.dumps({size.size: [_scored(tune, size.music) for tune in size.shown] for size in self.sizes})


def music_by_size(runs: Sequence[RunRecord], outputs: Path) -> MusicBySize | None:
    """What one run of each size wrote; None where none wrote anything. Sizes with another prompt are left out.

    outputs: where the folders are of runs that were pulled from a server.
    """
    found = [(run, read_music(run, outputs)) for run in writers(runs)]
    sizes = [SizeMusic(run, music) for run, music in found if music is not None]
    if not sizes:
        return None
    alike = [size for size in sizes if _way(size.music) == _way(sizes[-1].music)]
    there = {size.size for size in alike}
    return MusicBySize(tuple(alike), tuple(run.size for run, _ in found if run.size not in there))


def measures_table(music: MusicBySize) -> Table:
    """A row a measure, a column a size, and the held-out music of the last one beside them."""
    columns = [Column(size.size, size.size) for size in music.sizes]
    sets = [*(size.music.samples for size in music.sizes), music.sizes[-1].music.held_out]
    rows = ((Cell(title, name), *(_measure_cell(measures, name) for measures in sets)) for name, title in _ROWS.items())
    return Table(
        (Column("measure", "", numeric=False), *columns, Column("held_out", "held-out music")),
        tuple(rows),
    )


def _measure_cell(measures: Measures, name: str) -> Cell:
    value = asdict(measures)[name]
    if value is None:
        return Cell(formats.ABSENT, None)
    if name in _SHARES:
        return Cell(formats.percent(value, 0), value)
    return Cell(f"{value:,.0f}" if name == "notes_per_tune" else f"{value:.3f}", value)


def _way(music: RunMusic) -> tuple[object, ...]:
    """What must be the same for tunes to be heard side by side."""
    shape = (len(music.prompted), len(music.free))
    return (music.prompt, music.temperature, music.top_p, music.seed, *shape)


def _scored(tune: WrittenTune, music: RunMusic) -> dict[str, object]:
    """abc: what is drawn. given: how many of its characters are the prompt's. notes: [onset ms, length ms, pitch]."""
    given = len(music.prompt) if tune.text.startswith(music.prompt) and tune in music.prompted else 0
    return {
        "abc": _NUMBER_LINE + tune.text,
        "given": len(_NUMBER_LINE) + given if given else 0,
        "ended": tune.ended,
        "notes": _sounded(tune.text),
    }


def _sounded(text: str) -> list[list[int]]:
    """The notes of a tune, repeats played out, in order of onset: [onset ms, length ms, MIDI pitch]."""
    score = read_notes(text, unfold=True)
    # Absurd tempos are held to what can be heard.
    beat = 60_000 / min(max(score.quarters_per_minute, 20), 600)
    a_tick = 4 * beat / TICKS_PER_WHOLE
    notes = sorted(
        [round(float(note.onset) * a_tick), max(round(float(note.duration) * a_tick), 1), note.pitch]
        for note in score.notes
        if 0 <= note.pitch <= 127 and float(note.onset) * a_tick < 1000 * MOST_SECONDS
    )
    return notes[:MOST_NOTES]
