"""The measures of listening of what each size of a study writes, beside held-out tunes and these with bars shuffled.

    python benchmarks/listening.py OUTPUTS [TUNES]      # the folder of a study's runs; absent: 100 tunes a size

Shuffled bars keep every bar of a held-out tune, and lose how one follows the other. The figures are in docs/music.md.
"""

import random
import re
import sys
from dataclasses import asdict
from pathlib import Path

from scaling_lab.commands.tables import table
from scaling_lab.config import SIZES
from scaling_lab.music.measures import Reference, measure
from scaling_lab.music.symbols import split_header
from scaling_lab.sampling.listening import MOST_HELD_OUT, MOST_TRAIN, texts_of
from scaling_lab.sampling.trained_run import load_trained_run
from scaling_lab.sampling.tunes import sample_tunes

LONGEST = 700


def shuffled(tune: str, source: random.Random) -> str:
    """A tune with its bars in another order; fields and bar lines stay where they are."""
    head, key, music = split_header(tune)
    parts = re.split(r"([|:\[\]]*\|[|:\]]*[12]?)", music)
    places = [place for place in range(0, len(parts), 2) if parts[place].strip()]
    bars = [parts[place] for place in places]
    source.shuffle(bars)
    for place, bar in zip(places, bars, strict=True):
        parts[place] = bar
    return head + key + "".join(parts)


def main() -> None:
    """Print a column for each size, and one for each of the baselines."""
    outputs = Path(sys.argv[1])
    n_tunes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    folders = {size: next(iter(sorted(outputs.glob(f"*{size}-seed*/best_model.pt"))), None) for size in SIZES}
    runs = {size: load_trained_run(path.parent) for size, path in folders.items() if path}
    first = next(iter(runs.values()))
    held_out = list(texts_of(first, first.dataset.val, MOST_HELD_OUT))
    reference = Reference.of(held_out, texts_of(first, first.dataset.train, MOST_TRAIN))
    source = random.Random(0)
    columns = {
        "held out": measure(held_out, reference),
        "bars shuffled": measure([shuffled(tune, source) for tune in held_out], reference),
    }
    for size, run in runs.items():
        columns[size] = measure([tune.text for tune in sample_tunes(run, n_tunes, max_tokens=LONGEST)], reference)
    rows = [["", *columns]]
    for name in asdict(columns["held out"]):
        values = [getattr(column, name) for column in columns.values()]
        rows.append([name, *("–" if value is None else f"{value:.4g}" for value in values)])
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
