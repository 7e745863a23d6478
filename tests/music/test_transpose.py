"""A tune in other keys: the same music, every pitch moved alike, and the way back gives the text again."""

import re

import pytest

from scaling_lab.music.melody import melody, voices
from scaling_lab.music.transpose import Untransposable, in_all_keys, transposed

TUNE = """R:jig
M:6/8
L:1/8
K:Em
"Em"GAB e2^d|"B7"f=fe "D/F#"^d2B,|[K:Dmix]c'C [Ac]^A2_B|(3ABc d>e !trill!f4:|
"""


@pytest.mark.parametrize("semitones", [*range(-11, 0), *range(1, 12)])
def test_every_pitch_moves_alike_and_back_again(semitones: int):
    higher = transposed(TUNE, semitones)
    assert voices(higher) == [[pitch + semitones for pitch in row] for row in voices(TUNE)]
    assert transposed(higher, -semitones) == TUNE
    assert melody(higher) == melody(TUNE)


def test_a_tune_is_spelled_as_a_musician_would():
    assert (
        transposed(TUNE, -2)
        == """R:jig
M:6/8
L:1/8
K:Dm
"Dm"FGA d2^c|"A7"e_ed "C/E"^c2A,|[K:Cmix]bB, [GB]^G2_A|(3GAB c>d !trill!e4:|
"""
    )


def test_all_keys_are_the_eleven_others_with_at_most_six_sharps_or_flats():
    keys = [key for key, _ in in_all_keys(TUNE)]
    assert keys == ["Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm", "Cm", "C#m", "Dm", "D#m"]


def test_what_has_no_tonic_stays_in_its_key():
    assert list(in_all_keys(re.sub("K:Em", "K:HP", TUNE))) == []
    assert list(in_all_keys("no tune")) == []


def test_a_note_that_would_need_three_sharps_is_not_written():
    with pytest.raises(Untransposable):
        transposed("K:C\n^^Efga\n", 6)
