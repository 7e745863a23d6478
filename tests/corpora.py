"""Small datasets in the guide's layout, made in code: enough to train on in a second."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

LETTERS = "ABCDEFGabcdefg|:2 "


def write_corpus(folder: Path, n_train: int = 60, n_val: int = 8, seed: int = 0) -> Path:
    """Tunes of repeated phrases, so that there is something to learn; train and val as JSONL."""
    source = random.Random(seed)
    phrases = ["".join(source.choices(LETTERS, k=12)) for _ in range(6)]
    for split, count in (("train", n_train), ("val", n_val)):
        texts = ["".join(source.choices(phrases, k=source.randint(4, 14))) for _ in range(count)]
        write_split(folder, split, texts)
    return folder


def write_split(folder: Path, split: str, texts: Sequence[str]) -> None:
    """One split of character tokens."""
    path = folder / split / "data.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [
        {"midi_path": f"{split}/{index}.mid", "abc": text, "tokens": [LETTERS.index(letter) for letter in text]}
        for index, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
