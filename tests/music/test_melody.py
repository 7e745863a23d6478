import numpy as np
import pytest

from scaling_lab.music.melody import intervals, key_signature, melody, shingles, voices


def pitches(music: str, key: str = "C") -> list[int]:
    (row,) = voices(f"K:{key}\n{music}\n")
    return row


def test_middle_c_is_60_and_marks_move_by_octaves():
    assert pitches("C, C c c'") == [48, 60, 72, 84]


def test_the_key_signature_raises_and_lowers_notes():
    assert pitches("F c", key="D") == [66, 73]
    assert pitches("B e", key="Bb") == [70, 75]


@pytest.mark.parametrize(
    ("key", "sharps"), [("C", 0), ("Am", 0), ("G", 1), ("Em", 1), ("Ddor", 0), ("Dmix", 1), ("F#", 6), ("Cb", -7)]
)
def test_a_key_has_the_sharps_of_its_mode(key: str, sharps: int):
    assert sum(key_signature(key).values()) == sharps


def test_an_accidental_lasts_until_the_bar_line():
    assert pitches("^F F f|F") == [66, 66, 77, 65]


def test_a_natural_cancels_the_key_signature():
    assert pitches("=F F|F", key="G") == [65, 65, 66]


def test_a_key_may_change_inside_a_tune():
    assert pitches("F[K:D]F") == [65, 66]


def test_grace_notes_chord_symbols_and_decorations_are_not_heard():
    assert pitches('{ag}"Am"A!fermata!B') == [69, 71]


def test_a_chord_gives_its_highest_note():
    assert pitches("[CEG]2 A") == [67, 69]


def test_tied_notes_count_as_one_and_slurred_notes_as_two():
    assert pitches("A2-|A B-c") == [69, 71, 72]


def test_first_and_second_endings_are_not_chords():
    assert pitches("A|[1 B:|[2 c|]") == [69, 71, 72]


def test_voices_are_kept_apart():
    assert voices("V:1\nV:2\nK:C\n[V:1]CD|\n[V:2]EF|\n[V:1]E|\n") == [[60, 62, 64], [64, 65]]


def test_a_transposed_tune_has_the_same_melody():
    assert melody("K:G\nGABc dedB\n") == melody("K:D\nDEFG ABAF\n")


def test_intervals_are_bytes_around_128():
    assert intervals([60, 64, 62]) == bytes([132, 126])


def test_shingles_are_all_different_runs_of_12_intervals():
    row = bytes(range(1, 15))
    runs = [shingles((row[begin : begin + 12],)) for begin in range(3)]
    assert all(len(run) == 1 for run in runs)
    assert shingles((row,)).tolist() == sorted(np.concatenate(runs).tolist())
    assert shingles((row, row[1:])).tolist() == shingles((row,)).tolist()
    assert len(shingles((bytes(100),))) == 1


def test_a_short_melody_is_one_shingle_and_an_empty_one_none():
    assert len(shingles((b"abc",))) == 1
    assert shingles((b"abc",)).tolist() != shingles((b"abcd",)).tolist()
    assert len(shingles((b"",))) == 0
