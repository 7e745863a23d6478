"""The default corpus itself: what is promised about it, measured on the real tunes."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from scaling_lab.data.conversion.items import decode_text
from scaling_lab.data.dataset import Dataset, PackedSplit, open_dataset
from scaling_lab.data.packing.manifest import PIPELINE_VERSION
from scaling_lab.data.preparation import prepare, writing
from scaling_lab.data.preparation.clusters import cluster
from scaling_lab.data.preparation.prepare import PreparationSummary, ensure_core, prepare_core
from scaling_lab.data.sources.music21 import CORE, ORIGIN, music21
from scaling_lab.data.sources.source import MusicFile, Source
from scaling_lab.data.tokenization.tokenizer import UNK_ID
from scaling_lab.errors import DataError
from scaling_lab.music.abc import canonical, split_tunes
from scaling_lab.music.melody import melody, shingles


@pytest.fixture
def every(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the core corpus one of every n-th tune only, for what needs no more."""
    tunes = [tune for file in music21(CORE).files for tune in split_tunes(decode_text(file.path.read_bytes()))]

    def use(step: int) -> None:
        path = tmp_path_factory.mktemp("thinned") / "tunes.abc"
        path.write_text("\n\n".join(tunes[::step]), encoding="utf-8")
        thinned = Source(CORE.name, CORE.licence, ORIGIN, (MusicFile(path, path.name, "abc"),), {})
        monkeypatch.setattr(prepare, "music21", lambda collection: thinned)

    return use


@pytest.fixture(scope="module")
def core_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data") / "music21-core"


@pytest.fixture(scope="module")
def summary(core_dir: Path) -> PreparationSummary:
    return prepare_core(core_dir)


@pytest.fixture(scope="module")
def core(core_dir: Path, summary: PreparationSummary) -> Dataset:
    return open_dataset(core_dir)


def counted(summary: PreparationSummary, name: str) -> dict[str, int | None]:
    return {split: counts[name] for split, counts in summary.splits.items()}


def texts(dataset: Dataset, split: PackedSplit) -> list[str]:
    assert dataset.tokenizer is not None
    bounds = zip(split.offsets[:-1], split.offsets[1:], strict=True)
    return [dataset.tokenizer.decode(split.tokens[a:b]) for a, b in bounds]


def test_counts_and_fingerprint_are_those_of_every_machine(summary: PreparationSummary):
    assert (summary.tunes_read, summary.rejected, summary.exact_duplicates) == (4433, {}, 22)
    assert (summary.tunes, summary.clusters) == (4411, 3998)
    assert counted(summary, "documents") == {"train": 3948, "val": 222, "test": 241}
    assert counted(summary, "tokens") == {"train": 892_904, "val": 49_554, "test": 55_081}
    assert summary.vocab_size == 82
    assert summary.fingerprint == "888908a76b54"


def test_opening_agrees_with_preparing(core: Dataset, summary: PreparationSummary):
    assert core.fingerprint == summary.fingerprint
    assert {name: split["tokens"] for name, split in core.summary().items()} == counted(summary, "tokens")
    assert core.warnings == ()
    assert core.licence


def test_documents_decode_to_canonical_text(core: Dataset):
    for text in texts(core, core.val):
        assert canonical(text) == text
    assert core.val.characters == sum(map(len, texts(core, core.val)))


def test_no_tune_of_val_or_test_has_a_near_duplicate_in_train(core: Dataset):
    assert core.test is not None
    splits = [texts(core, split) for split in (core.train, core.val, core.test)]
    split_of = [number for number, split in enumerate(splits) for _ in split]
    clusters = cluster([shingles(melody(text)) for split in splits for text in split])
    assert len(set(zip(clusters, split_of, strict=True))) == len(set(clusters))


def test_hardly_a_character_of_val_is_unknown_to_train(core: Dataset):
    assert (core.val.tokens == UNK_ID).sum() <= 3


def test_preparing_again_changes_nothing(tmp_path: Path, every: Callable[[int], None]):
    every(20)
    first = prepare_core(tmp_path / "core")
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in (tmp_path / "core").rglob("*.*")}
    assert prepare_core(tmp_path / "core") == first
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in (tmp_path / "core").rglob("*.*")} == before


def test_another_folder_gets_the_same_bytes(tmp_path: Path, every: Callable[[int], None]):
    every(20)
    prepare_core(tmp_path / "one")
    prepare_core(tmp_path / "two")
    files = sorted((tmp_path / "one").rglob("*.*"))
    assert len(files) == 16
    for one in files:
        if one.name != "manifest.json":  # which holds times of change
            assert one.read_bytes() == (tmp_path / "two" / one.relative_to(tmp_path / "one")).read_bytes()


def test_a_changed_corpus_replaces_the_prepared_one(tmp_path: Path, every: Callable[[int], None]):
    every(40)
    first = prepare_core(tmp_path / "core")
    every(50)
    assert prepare_core(tmp_path / "core").fingerprint != first.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == [".core.lock", "core"]


def test_a_damaged_folder_is_made_whole_by_preparing_again(tmp_path: Path, every: Callable[[int], None]):
    every(40)
    first = prepare_core(tmp_path / "core")
    (tmp_path / "core" / "train" / "data.json").unlink()
    assert prepare_core(tmp_path / "core") == first
    assert (tmp_path / "core" / "train" / "data.json").is_file()


def test_a_corpus_that_is_there_is_not_prepared_again(core: Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepare, "music21", lambda collection: pytest.fail("prepared again"))
    written = (core.dir / "meta.json").stat().st_mtime_ns
    ensure_core(core.dir)
    assert (core.dir / "meta.json").stat().st_mtime_ns == written


def test_a_corpus_of_another_version_is_prepared_again(
    tmp_path: Path, every: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
):
    every(40)
    monkeypatch.setattr(writing, "PIPELINE_VERSION", 0)
    ensure_core(tmp_path / "core")
    monkeypatch.undo()
    every(40)
    ensure_core(tmp_path / "core")
    assert orjson.loads((tmp_path / "core" / "meta.json").read_bytes())["pipeline_version"] == PIPELINE_VERSION


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path):
    letter = tmp_path / "letters" / "anna.txt"
    letter.parent.mkdir()
    letter.write_text("Dear Anna")
    for place in (letter.parent, letter):
        with pytest.raises(DataError, match="holds something that was not prepared here"):
            prepare_core(place)
    assert letter.read_text() == "Dear Anna"
