"""Prepares the default corpus: from tunebooks to a dataset in the guide's layout, packed, in a few seconds.

canonical text, exact duplicates dropped, clustered by melody, split by cluster, characters of train as vocabulary,
written, read back. The same corpus gives the same bytes on any machine.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.data.clusters import cluster
from scaling_lab.data.guide_format import SPLITS, Document, write_jsonl
from scaling_lab.data.manifest import PIPELINE_VERSION, Ids, Manifest, read_manifest
from scaling_lab.data.meta import Meta, read_meta
from scaling_lab.data.packing import PACKED_FOLDER, packed_folder
from scaling_lab.data.sources import CORE_NAME, Corpus, SourceTune, music21_core
from scaling_lab.data.splits import cluster_keys, split_of
from scaling_lab.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, CharTokenizer
from scaling_lab.errors import DataError
from scaling_lab.files import folder_aside, locked, put_in_place
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


def prepare_core(out_dir: Path) -> PreparationSummary:
    """Prepare music21's core corpus in `out_dir`, which is there whole or not at all; again, it changes nothing.

    Raises `DataError` if music21 is not installed, or if `out_dir` holds anything else.
    """
    with _reserved(out_dir):
        return _prepare(music21_core(), out_dir)


def ensure_core(out_dir: Path) -> None:
    """Prepare the core corpus in `out_dir` unless this version has done so. Raises as `prepare_core` does."""
    if _is_current(out_dir):
        return  # without the lock, which a read-only disk would refuse
    with _reserved(out_dir):
        if not _is_current(out_dir):
            _prepare(music21_core(), out_dir)


def _is_current(out_dir: Path) -> bool:
    meta = read_meta(out_dir)
    return meta is not None and meta.pipeline_version == PIPELINE_VERSION


@contextmanager
def _reserved(out_dir: Path) -> Iterator[None]:
    """Keeps other processes from preparing the same folder, and us from replacing one that is not ours."""
    with ExitStack() as stack:
        try:
            out_dir.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(out_dir.parent / f".{out_dir.name}.lock"))
        except OSError as error:
            raise DataError(f"{out_dir}: can't be prepared there: {error.strerror}; name another folder") from error
        if not _may_be_replaced(out_dir):
            raise DataError(f"{out_dir}: holds something that was not prepared here; name an empty or a new folder")
        yield


def _may_be_replaced(out_dir: Path) -> bool:
    if not out_dir.is_dir():
        return not out_dir.exists()
    meta = read_meta(out_dir)
    return meta.name == CORE_NAME if meta else not any(out_dir.iterdir())


def _prepare(corpus: Corpus, out_dir: Path) -> PreparationSummary:
    tunes, rejected = _cleaned(corpus)
    melodies = [melody(tune.text) for tune in tunes]
    clusters = cluster([shingles(voices) for voices in melodies])
    splits: dict[str, list[SourceTune]] = {split: [] for split in SPLITS}
    for tune, key in zip(tunes, cluster_keys(clusters, melodies), strict=True):
        splits[split_of(key)].append(tune)
    manifest = _write(corpus, splits, out_dir)
    return PreparationSummary(
        directory=out_dir,
        fingerprint=manifest.fingerprint,
        tunes_read=len(corpus.tunes),
        rejected=dict(rejected),
        exact_duplicates=len(corpus.tunes) - rejected.total() - len(tunes),
        tunes=len(tunes),
        clusters=len(set(clusters)),
        documents={name: split.documents for name, split in manifest.splits.items()},
        tokens={name: split.tokens for name, split in manifest.splits.items()},
        characters={name: split.characters for name, split in manifest.splits.items()},
        vocab_size=manifest.ids.vocab_size or 0,
    )


def _cleaned(corpus: Corpus) -> tuple[list[SourceTune], Counter[str]]:
    """The tunes in canonical text, each text once, in the order of the corpus; and what was rejected, by reason."""
    first_of: dict[str, SourceTune] = {}
    rejected: Counter[str] = Counter()
    for tune in corpus.tunes:
        try:
            text = canonical(tune.text)
        except RejectedTune as error:
            rejected[error.reason] += 1
        else:
            first_of.setdefault(text, SourceTune(tune.place, text))
    return list(first_of.values()), rejected


def _write(corpus: Corpus, splits: dict[str, list[SourceTune]], out_dir: Path) -> Manifest:
    """Write the dataset aside, read it back by packing it, and put it in place."""
    with folder_aside(out_dir) as aside:
        tokenizer = CharTokenizer.train(tune.text for tune in splits["train"])
        tokenizer.save(aside / TOKENIZER_FILE)
        for split, tunes in splits.items():
            (aside / split).mkdir()
            write_jsonl(aside / split / "data.json", (_document(tune, tokenizer) for tune in tunes))
        meta = _meta(corpus, tokenizer)
        meta.save(aside)
        with packed_folder(aside, Ids(), meta, tokenizer.sha256) as (_, manifest):
            if not _is_same(out_dir, manifest):
                put_in_place(aside, out_dir)
    return manifest


def _is_same(out_dir: Path, new: Manifest) -> bool:
    """Whether `out_dir` holds just what was prepared now: then it stays, and with it whatever reads from it."""
    old = read_manifest(out_dir / PACKED_FOLDER)
    try:
        if old is None or not old.still_holds(out_dir, new.asked, new.tokenizer_sha256):
            return False
    except DataError:  # a file of it is missing: then it is to be made whole
        return False
    return [(file.path, file.sha256) for file in old.sources] == [(file.path, file.sha256) for file in new.sources]


def _document(tune: SourceTune, tokenizer: CharTokenizer) -> Document:
    return Document([BOS_ID, *tokenizer.encode(tune.text), EOS_ID], tune.text, tune.place)


def _meta(corpus: Corpus, tokenizer: CharTokenizer) -> Meta:
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
    )
