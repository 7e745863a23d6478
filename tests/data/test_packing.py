import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.data.dataset import Dataset, PackedSplit, open_dataset
from scaling_lab.errors import DataError
from scaling_lab.files import cache_folder, locked


def documents(split: PackedSplit) -> list[list[int]]:
    return [split.tokens[a:b].tolist() for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]


def manifest(folder: Path) -> dict:
    return orjson.loads((folder / "packed" / "manifest.json").read_bytes())


def packing(folder: Path) -> int:
    """Names one packing: another one makes a new manifest."""
    return (folder / "packed" / "manifest.json").stat().st_ino


def test_documents_lie_end_to_end_from_bos_to_eos(small):
    dataset = open_dataset(small.root)
    assert documents(dataset.train) == [[1, 4, 5, 6, 2], [1, 5, 5, 6, 2], [1, 6, 5, 6, 2], [1, 7, 5, 6, 2]]
    assert documents(dataset.val) == [[1, 8, 9, 2]]
    assert dataset.test is not None
    assert documents(dataset.test) == [[1, 9, 9, 9, 2]]


def test_documents_that_carry_bos_and_eos_get_no_second_pair(guide):
    guide.split("train", [{"tokens": [1, 5, 2]}, {"tokens": [5, 6]}, {"tokens": [1, 7]}])
    guide.split("val", [{"tokens": [8]}])
    guide.meta(vocab_size=10, bos_id=1, eos_id=2)
    assert documents(open_dataset(guide.root).train) == [[1, 5, 2], [1, 5, 6, 2], [1, 7, 2]]


def test_a_document_of_nothing_but_its_frame_is_left_out(guide):
    guide.split("train", [{"tokens": [1, 2]}, *[{"tokens": [5]}] * 100])
    guide.split("val", [{"tokens": [8]}])
    dataset = open_dataset(guide.root, vocab_size=10, bos_id=1, eos_id=2)
    assert dataset.train.n_documents == 100
    assert "1 records left out (nothing between BOS and EOS: 1)" in dataset.warnings[0]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(3, 90), min_size=1, max_size=9).map(tuple), min_size=2, max_size=12, unique=True))
def test_whatever_is_packed_is_read_back(tmp_path_factory, given_documents: list[tuple[int, ...]]):
    root = tmp_path_factory.mktemp("packed")
    for split, part in (("train", given_documents[1:]), ("val", given_documents[:1])):
        (root / split).mkdir()
        (root / split / "data.json").write_bytes(orjson.dumps([{"tokens": tokens} for tokens in part]))
    dataset = open_dataset(root, vocab_size=100, bos_id=1, eos_id=2)
    assert documents(dataset.train) == [[1, *tokens, 2] for tokens in given_documents[1:]]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_ids_take_two_bytes_up_to_a_vocabulary_of_65536(small, vocab_size: int, dtype: type):
    dataset = open_dataset(small.root, vocab_size=vocab_size)
    assert dataset.train.tokens.dtype == dtype
    assert documents(dataset.val) == [[1, 8, 9, 2]]


def test_tokens_are_a_read_only_memory_map_and_offsets_int64(small):
    train = open_dataset(small.root).train
    assert isinstance(train.tokens, np.memmap)
    assert not train.tokens.flags.writeable
    assert train.offsets.dtype == np.int64


def test_characters_are_those_of_all_texts_or_unknown(small):
    assert open_dataset(small.root).train.characters == 12
    small.split("train", [{"abc": "abc", "tokens": [4]}, {"tokens": [5]}])
    assert open_dataset(small.root).train.characters is None


def test_bytes_and_notes_are_counted_where_losses_are_measured_in_them(guide):
    guide.split("train", [{"abc": "abc", "tokens": [4]}])
    guide.split("val", [{"abc": "K:G\n[ce]|{d}^f2 é", "tokens": [5]}, {"abc": "z|A,", "tokens": [6]}])
    guide.split("test", [{"abc": "abc", "tokens": [7]}, {"tokens": [8]}])
    dataset = open_dataset(guide.root)
    assert (dataset.val.characters, dataset.val.text_bytes, dataset.val.notes) == (21, 22, 5)
    assert (dataset.train.characters, dataset.train.text_bytes, dataset.train.notes) == (3, None, None)
    assert dataset.test is not None
    assert (dataset.test.characters, dataset.test.text_bytes, dataset.test.notes) == (None, None, None)


@pytest.mark.parametrize("count", [2, 500])
def test_a_val_split_that_was_drawn_has_its_bytes_and_notes_too(guide, count: int):
    guide.split("train", [{"midi_path": f"{i}.mid", "abc": "aé" * i + "a", "tokens": [i]} for i in range(count)])
    val = open_dataset(guide.root).val
    notes = sum(tokens[1] + 1 for tokens in documents(val))
    assert (val.notes, val.characters, val.text_bytes) == (
        notes,
        2 * notes - val.n_documents,
        3 * notes - 2 * val.n_documents,
    )


def test_a_packing_of_before_bytes_and_notes_is_made_anew_and_keeps_its_fingerprint(small):
    fingerprint = open_dataset(small.root).fingerprint
    before = manifest(small.root)
    for split in before["splits"].values():
        del split["bytes"], split["notes"]
    (small.root / "packed" / "manifest.json").write_bytes(orjson.dumps(before))
    dataset = open_dataset(small.root)
    assert (dataset.val.text_bytes, dataset.fingerprint) == (4, fingerprint)


def test_what_stands_in_val_or_test_is_taken_out_of_train(small):
    small.split("train", [{"abc": "abc", "tokens": [1, 8, 9, 2]}, {"abc": "a", "tokens": [5]}, {"tokens": [9, 9, 9]}])
    dataset = open_dataset(small.root)
    assert documents(dataset.train) == [[1, 5, 2]]
    assert dataset.train.characters == 1
    assert manifest(small.root)["splits"]["train"]["removed_duplicates"] == 2
    assert "2 training documents also stand in val or test" in dataset.warnings[0]


def test_a_training_split_of_nothing_but_duplicates_is_refused(small):
    small.split("train", [{"tokens": [8, 9]}])
    with pytest.raises(DataError, match="no training document is left"):
        open_dataset(small.root)


def test_repeated_training_documents_stay_and_are_counted_once_as_unique(small):
    small.split("train", [{"tokens": [4, 5]}] * 3 + [{"tokens": [6]}])
    train = open_dataset(small.root).train
    assert (train.n_tokens, train.unique_tokens) == (4 * 3 + 3, 4 + 3)


def test_without_val_five_percent_of_groups_become_it(guide):
    records = [{"midi_path": f"{i // 2}.mid", "tokens": [i % 50, i // 50]} for i in range(2000)]
    guide.split("train", records)
    dataset = open_dataset(guide.root)
    assert 60 < dataset.val.n_documents < 140
    assert dataset.train.n_documents + dataset.val.n_documents == 2000
    assert any("no val split" in warning for warning in dataset.warnings)
    held_out = {tuple(tokens[1:-1]) for tokens in documents(dataset.val)}
    groups = [{tuple(records[i]["tokens"]), tuple(records[i + 1]["tokens"])} for i in range(0, 2000, 2)]
    assert all(group <= held_out or not group & held_out for group in groups)


def test_adding_files_moves_none_between_the_splits(guide):
    records = [{"midi_path": f"{i}.mid", "tokens": [i]} for i in range(400)]
    guide.split("train", records[100:])
    before = {tuple(tokens[1:-1]) for tokens in documents(open_dataset(guide.root).val)}
    guide.split("train", records)
    after = {tuple(tokens[1:-1]) for tokens in documents(open_dataset(guide.root).val)}
    assert before < after
    assert all(tokens < (100,) for tokens in after - before)


def test_a_handful_of_documents_has_a_val_split_too(guide):
    guide.split("train", [{"midi_path": f"{i}.mid", "tokens": [i]} for i in range(3)])
    dataset = open_dataset(guide.root)
    assert (dataset.train.n_documents, dataset.val.n_documents) == (2, 1)


def test_an_unchanged_dataset_is_packed_once(small):
    open_dataset(small.root)
    first = packing(small.root)
    open_dataset(small.root)
    assert packing(small.root) == first


def test_a_touched_file_of_the_same_bytes_is_not_packed_again(small):
    open_dataset(small.root)
    first = packing(small.root)
    os.utime(small.root / "train" / "data.json", (1, 1))
    open_dataset(small.root)
    assert packing(small.root) == first


def test_a_changed_file_is_packed_again_and_changes_the_fingerprint(small):
    before = open_dataset(small.root)
    path = small.root / "train" / "data.json"
    path.write_bytes(path.read_bytes().replace(b"[4,5,6]", b"[4,5,7]"))
    os.utime(path, (1, 1))  # as many bytes as before: only the time tells
    after = open_dataset(small.root)
    assert documents(after.train)[0] == [1, 4, 5, 7, 2]
    assert after.fingerprint != before.fingerprint
    assert documents(before.train)[0] == [1, 4, 5, 6, 2], "a dataset that is open stays what it was"


def test_a_new_split_or_a_changed_meta_is_packed_again(small):
    first = open_dataset(small.root).fingerprint
    small.meta(vocab_size=11, bos_id=1, eos_id=2)
    second = open_dataset(small.root).fingerprint
    (small.root / "test" / "data.json").unlink()
    dataset = open_dataset(small.root)
    assert len({first, second, dataset.fingerprint}) == 3
    assert dataset.test is None


@pytest.mark.parametrize("harm", ["cut", "gone", "manifest"])
def test_a_damaged_packing_is_made_anew(small, harm: str):
    open_dataset(small.root)
    tokens = small.root / "packed" / "train.tokens.npy"
    if harm == "cut":
        os.truncate(tokens, 130)
    elif harm == "gone":
        tokens.unlink()
    else:
        (small.root / "packed" / "manifest.json").write_text("{")
    assert documents(open_dataset(small.root).val) == [[1, 8, 9, 2]]
    assert open_dataset(small.root).train.n_tokens == 20


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("array", ["tokens", "offsets"])
@pytest.mark.parametrize("place", ["kind of number", "first entry", "last entry"])
def test_a_packing_with_a_flipped_bit_is_made_anew(small, split: str, array: str, place: str):
    dataset = open_dataset(small.root)
    before = dataset.fingerprint, documents(dataset.train)
    path = small.root / "packed" / f"{split}.{array}.npy"
    whole = path.read_bytes()
    harmed = bytearray(whole)
    # The kind of number stands as '<u2' in the header, which is 128 bytes long: '>' is but one bit from '<'.
    harmed[{"kind of number": whole.index(b"'<") + 1, "first entry": 128, "last entry": -1}[place]] ^= 2
    path.write_bytes(harmed)
    after = open_dataset(small.root)
    assert path.read_bytes() == whole
    assert (after.fingerprint, documents(after.train)) == before


def test_what_a_killed_packing_left_is_cleared_away(small):
    leftover = small.root / ".packed.tmp" / "train.spool"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    open_dataset(small.root)
    assert sorted(path.name for path in small.root.iterdir()) == [
        ".packed.lock",
        "meta.json",
        "packed",
        "test",
        "train",
        "val",
    ]
    assert len(list((small.root / "packed").iterdir())) == 7


def test_a_dataset_that_is_refused_leaves_no_packing(small):
    small.raw("val", b'{"tokens": [1')
    with pytest.raises(DataError, match=r"val/data\.json: cut off at byte 13"):
        open_dataset(small.root)
    assert not (small.root / "packed").exists()
    assert not (small.root / ".packed.tmp").exists()


def test_packing_thirty_megabytes_takes_less_than_fifteen(small, peak_megabytes):
    tokens = orjson.dumps({"tokens": [1234] * 10_000})
    small.raw("train", b"[" + b", ".join([tokens] * (30_000_000 // len(tokens))) + b"]")
    opening = "from scaling_lab.data.dataset import open_dataset", "open_dataset(folder, vocab_size=1235)"
    assert peak_megabytes(small.root, *opening) < 15
    assert open_dataset(small.root, vocab_size=1235).train.n_tokens > 5_000_000


def test_two_hundred_thousand_short_documents_take_less_than_forty_megabytes(small, peak_megabytes):
    records = (b'{"abc":"abc","tokens":[%d,%d]}\n' % (i % 1000, i // 1000) for i in range(200_000))
    small.raw("train", b"".join(records))
    opening = "from scaling_lab.data.dataset import open_dataset", "open_dataset(folder, vocab_size=1235)"
    assert peak_megabytes(small.root, *opening) < 40
    assert open_dataset(small.root, vocab_size=1235).train.n_documents > 190_000


OPEN = """
import sys
from pathlib import Path
print("ready", flush=True)
from scaling_lab.data.dataset import open_dataset
dataset = open_dataset(Path(sys.argv[1]))
print(dataset.fingerprint, (Path(sys.argv[1]) / "packed").stat().st_ino)
"""


def test_two_processes_that_open_one_dataset_pack_it_once(small):
    command = [sys.executable, "-c", OPEN, str(small.root)]
    with locked(small.root / ".packed.lock"):
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            both[0].wait(timeout=1.0)
        assert not (small.root / "packed").exists(), "they wait for the one that holds the lock"
    answers = {process.communicate()[0] for process in both}
    assert len(answers) == 1
    assert [process.returncode for process in both] == [0, 0]


def opened_read_only(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Open a folder that can't be written; root may write anywhere, so as root the kernel's refusal is played."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    real_open = os.open

    def refusing_open(path, flags, *args, **kwargs):
        if flags & os.O_CREAT and Path(os.fsdecode(path)).is_relative_to(root):
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing_open)
    return open_dataset(root)


def test_a_read_only_folder_is_packed_into_the_cache(small, tmp_path, monkeypatch):
    dataset = opened_read_only(small.root, tmp_path / "cache", monkeypatch)
    assert documents(dataset.val) == [[1, 8, 9, 2]]
    assert not (small.root / "packed").exists()
    assert (cache_folder(small.root) / "packed" / "manifest.json").is_relative_to(tmp_path / "cache" / "scaling-lab")


def test_a_read_only_folder_that_was_packed_before_is_read_in_place(small, tmp_path, monkeypatch):
    open_dataset(small.root)
    dataset = opened_read_only(small.root, tmp_path / "cache", monkeypatch)
    assert isinstance(dataset.train.tokens, np.memmap)
    assert str(dataset.train.tokens.filename).startswith(str(small.root))


OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from scaling_lab.data.dataset import open_dataset
open_dataset(Path(sys.argv[2]))  # imports what is imported late, while the interpreter's own files may be read
os.setuid(65534)
print(open_dataset(Path(sys.argv[1])).val.n_tokens)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_who_may_only_read_can_open_a_dataset(small):
    # Others can't enter tmp_path, so this dataset lies elsewhere.
    with tempfile.TemporaryDirectory() as for_all:
        root, cache = Path(for_all) / "dataset", Path(for_all) / "cache"
        shutil.copytree(small.root, root)
        cache.mkdir()
        for folder, mode in ((Path(for_all), 0o755), (cache, 0o777)):
            folder.chmod(mode)
        command = [sys.executable, "-c", OPEN_AS_NOBODY, str(root), str(small.root)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (answer.stdout, answer.stderr) == ("4\n", "")
        assert list(cache.glob("scaling-lab/*/packed/manifest.json"))
