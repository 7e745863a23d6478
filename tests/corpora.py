"""Small datasets in the guide's layout, made in code: enough to train on in a second."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

LETTERS = "ABCDEFGabcdefg|:2 "
# Of the tunes that can be read again, for they have a tokenizer.
TUNE_CHARACTERS = "\n/268:ABDGKM|cdefg"
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


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


def write_tunes(folder: Path, seed: int = 0, characters: str = TUNE_CHARACTERS) -> None:
    """Tunes of three bars, with meta.json and a tokenizer by character: what a model of them writes can be read."""
    source = random.Random(seed)
    ids = {character: id_ for id_, character in enumerate(characters, start=len(SPECIALS))}
    for split, count in (("train", 80), ("val", 10)):
        path = folder / split / "data.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        bars = ["".join(source.choices("GABcdefg", k=6)) + "|" for _ in range(80)]
        tunes = [f"M:6/8\nK:{source.choice('GDA')}\n{''.join(source.choices(bars, k=3))}" for _ in range(count)]
        records = [{"abc": tune, "tokens": [ids[character] for character in tune]} for tune in tunes]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    tokenizer = {"type": "char", "specials": SPECIALS, "characters": list(characters)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    meta = {"vocab_size": len(SPECIALS) + len(characters), "pad_id": 0, "bos_id": 1, "eos_id": 2}
    (folder / "meta.json").write_text(json.dumps(meta | {"tokenizer_file": "tokenizer.json"}))
