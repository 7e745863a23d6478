"""Prepares the default corpus: from tunebooks to a dataset in the guide's layout, packed, in a few seconds.

canonical text, exact duplicates dropped, clustered by melody, split by cluster, characters of train as vocabulary,
written, read back. The same corpus gives the same bytes on any machine.
"""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.data.clusters import cluster
from scaling_lab.data.files import locked
from scaling_lab.data.guide_format import SPLITS, Document, write_jsonl
from scaling_lab.data.manifest import PIPELINE_VERSION, Ids, Manifest
from scaling_lab.data.meta import META_FILE, Meta
from scaling_lab.data.packing import packed_folder
from scaling_lab.data.sources import Corpus, music21_core
from scaling_lab.data.splits import cluster_keys, split_of
from scaling_lab.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, CharTokenizer
from scaling_lab.errors import DataError
from scaling_lab.music.abc import RejectedTune, canonical
from scaling_lab.music.melody import melody, shingles

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class PreparationSummary:
    """What came of preparing a corpus. Tokens include BOS and EOS of each tune."""

    directory: Path
    fingerprint: str
    tunes_read: int
    rejected: dict[str, int]
    exact_duplicates: int
    tunes: int
    clusters: int
    documents: dict[str, int]
    tokens: dict[str, int]
    characters: dict[str, int | None]
    vocab_size: int


@dataclass(frozen=True)
class _Tune:
    place: str
    abc: str


def prepare_core(out_dir: Path) -> PreparationSummary:
    """Prepare music21's core corpus in `out_dir`, which is there whole or not at all; again, it changes nothing.

    Raises `DataError` if music21 is not installed, or if `out_dir` holds anything else.
    """
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    with locked(out_dir.parent / f".{out_dir.name}.lock"):
        _refuse_foreign(out_dir)
        return _prepare(music21_core(), out_dir)


def _refuse_foreign(out_dir: Path) -> None:
    """A folder that is not ours is never replaced."""
    if out_dir.exists() and any(out_dir.iterdir()) and not (out_dir / META_FILE).is_file():
        raise DataError(f"{out_dir}: holds something that was not prepared here; name an empty or a new folder")


def _prepare(corpus: Corpus, out_dir: Path) -> PreparationSummary:
    rejected: Counter[str] = Counter()
    tunes: dict[str, _Tune] = {}
    for found in corpus.tunes:
        try:
            text = canonical(found.text)
        except RejectedTune as error:
            rejected[error.reason] += 1
        else:
            tunes.setdefault(text, _Tune(found.place, text))
    unique = list(tunes.values())
    melodies = [melody(tune.abc) for tune in unique]
    clusters = cluster([shingles(voices) for voices in melodies])
    counted = {
        "read": len(corpus.tunes),
        "rejected": rejected.total(),
        "exact_duplicates": len(corpus.tunes) - rejected.total() - len(unique),
        "kept": len(unique),
        "clusters": len(set(clusters)),
    }
    splits: dict[str, list[_Tune]] = {split: [] for split in SPLITS}
    for tune, key in zip(unique, cluster_keys(clusters, melodies), strict=True):
        splits[split_of(key)].append(tune)
    manifest = _write(corpus, splits, counted, out_dir)
    return PreparationSummary(
        directory=out_dir,
        fingerprint=manifest.fingerprint,
        tunes_read=counted["read"],
        rejected=dict(rejected),
        exact_duplicates=counted["exact_duplicates"],
        tunes=counted["kept"],
        clusters=counted["clusters"],
        documents={name: split.documents for name, split in manifest.splits.items()},
        tokens={name: split.tokens for name, split in manifest.splits.items()},
        characters={name: split.characters for name, split in manifest.splits.items()},
        vocab_size=manifest.ids.vocab_size or 0,
    )


def _write(corpus: Corpus, splits: dict[str, list[_Tune]], counted: dict[str, int], out_dir: Path) -> Manifest:
    """Write the dataset aside, read it back by packing it, and put it in place."""
    aside = out_dir.parent / f".{out_dir.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        tokenizer = CharTokenizer.train(tune.abc for tune in splits["train"])
        tokenizer.save(aside / TOKENIZER_FILE)
        for split, tunes in splits.items():
            (aside / split).mkdir()
            write_jsonl(aside / split / "data.json", (_document(tune, tokenizer) for tune in tunes))
        meta = _meta(corpus, tokenizer, counted)
        meta.save(aside)
        with packed_folder(aside, Ids(), meta, tokenizer.sha256) as (_, manifest):
            pass
        if out_dir.exists():
            shutil.rmtree(out_dir)
        aside.rename(out_dir)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def _document(tune: _Tune, tokenizer: CharTokenizer) -> Document:
    return Document([BOS_ID, *tokenizer.encode(tune.abc), EOS_ID], tune.abc, tune.place)


def _meta(corpus: Corpus, tokenizer: CharTokenizer, counted: dict[str, int]) -> Meta:
    return Meta(
        name=corpus.name,
        vocab_size=tokenizer.vocab_size,
        pad_id=PAD_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        tokenizer_file=TOKENIZER_FILE,
        tokenizer_sha256=tokenizer.sha256,
        pipeline_version=PIPELINE_VERSION,
        licence=corpus.licence,
        source="https://github.com/cuthbertLab/music21 (music21/corpus), read in place from the installed package",
        source_sha256=corpus.sha256,
        tunes=counted,
    )
