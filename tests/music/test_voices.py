from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.music.abc import canonical
from scaling_lab.music.melody import melody
from scaling_lab.music.notes import TICKS_PER_WHOLE, Note, read_notes
from scaling_lab.music.voices import FIRST_VOICE, interleaved

SCORE = """X:1
%%score 1 2
L:1/8
M:2/4
K:F
V:1 treble nm="Voice"
V:2 bass
L:1/16
V:1
 c2 d2 | (3efg a>b |1 B4- :|2 B4 |] %4
V:2
 F,8 | [F,A,]4 z2 G,2 |1 ^B,8- :|2 B,8 |] %4
"""
HEADER = "M:2/4\nL:1/8\nK:F\n"
INTERLEAVED = """[V:1]c2 d2|[V:2]F,4|
[V:1](3efg a>b|[V:2][F,A,]2 z G,|
[V:1][1 B4-:|[V:2][1 ^B,4-:|
[V:1][2 B4|][V:2][2 B,4|]
"""


def body(music: str, header: str = HEADER) -> str:
    return interleaved(header, music, {})


def by_voice(notes: list[Note]) -> dict[str, list[Note]]:
    return {name: [note for note in notes if note.voice == name] for name in {note.voice for note in notes}}


def test_bar_1_of_all_voices_comes_before_bar_2_of_all_voices():
    assert canonical(SCORE.replace("c2 d2", "ccdd cccc cccc")) == HEADER + INTERLEAVED.replace(
        "c2 d2", "ccdd cccc cccc"
    )


def test_the_notes_are_those_of_the_voices_one_after_the_other():
    before = HEADER + "V:2\n" + SCORE.partition("V:2 bass\n")[2].replace(" %4", "")
    assert by_voice(read_notes(HEADER + INTERLEAVED).notes) == by_voice(read_notes(before).notes)


def test_a_voice_that_has_ended_is_absent():
    assert body("V:1\na|b|\nV:2\nc|\n") == "[V:1]a|[V:2]c|\n[V:1]b|\n"


def test_a_single_voice_stays_as_it_is():
    assert body("V:1\nab|\ncd|\n") == "V:1\nab|\ncd|\n"


def test_voices_that_take_turns_already_stay_as_they_are():
    turns = "[V:1]a|b|\n[V:2]c|d|\n[V:1]e|f|\n[V:2]g|a|\n"
    assert body(turns) == turns


@pytest.mark.parametrize(
    ("unit", "given", "scaled"),
    [
        ("1/4", "A B/ C3/2 [DE]/4 z2 {ab}c x/8", "A2 B C3 [DE]/ z4 {ab}c2 x/4"),
        ("1/16", "A B2 C3 (3:2:2D2E A>B", "A/ B C3/2 (3:2:2DE/ A/>B/"),
    ],
)
def test_all_voices_get_one_unit_length(unit: str, given: str, scaled: str):
    assert body(f"V:1\nA|\nV:2\nL:{unit}\n{given}|\n") == f"[V:1]A|[V:2]{scaled}|\n"


def test_a_clef_that_sounds_an_octave_lower_is_written_where_it_sounds():
    text = canonical("K:C\nV:1 treble\nV:2 treble-8\nV:1\ncdefgabc|\nV:2\nc'cC,^F[ce]{d}edc|[K:treble]cd|\n")
    assert text == "K:C\n[V:1]cdefgabc|[V:2]cCC,,^F,[CE]{D}EDC|\n[V:2]cd|\n"


def test_a_key_and_a_metre_change_in_each_voice_and_a_clef_does_not():
    assert body("V:1\na|[K:D][M:3/4]f|\nV:2\nc|[K:bass]d|\n") == "[V:1]a|[V:2]c|\n[V:1][K:D][M:3/4]f|[V:2]d|\n"


def test_fields_before_the_first_voice_are_for_all():
    assert body("M:3/4\nV:1\na|\nV:2\nc|\n") == "[V:1][M:3/4]a|[V:2][M:3/4]c|\n"


def test_music_before_the_first_voice_is_that_of_voice_1():
    assert body("a|b|\nV:2\nc|d|\n") == f"[V:{FIRST_VOICE}]a|[V:2]c|\n[V:{FIRST_VOICE}]b|[V:2]d|\n"


def test_a_bar_line_before_anything_sounds_begins_a_bar():
    assert body("V:1\n|:a|b:|\n|:c:|\nV:2\nd|e:|f:|\n") == "[V:1]|:a|[V:2]d|\n[V:1]b:||:[V:2]e:|\n[V:1]c:|[V:2]f:|\n"


def test_the_colons_of_a_tuplet_and_the_stroke_of_a_metre_are_no_bar_lines():
    music = "V:1\n(3::2abc [M:C|]d|\nV:2\nc|\n"
    assert body(music) == "[V:1](3::2abc [M:C|]d|[V:2]c|\n"


def test_accidentals_and_keys_of_one_voice_are_not_those_of_another():
    text = "K:C\n[V:1]^F|[V:2]F|\n[V:1][K:D]F|[V:2]F|\n"
    assert {note.voice: note.pitch for note in read_notes(text).notes} == {"1": 66, "2": 65}
    assert melody(text) == (bytes([128]), bytes([128]))


def test_the_first_bar_begins_at_0_in_every_voice():
    notes = read_notes(HEADER + INTERLEAVED).notes
    assert min(note.onset for note in notes if note.voice == "2") == 0
    assert notes[0].duration == Fraction(1, 4) * TICKS_PER_WHOLE


@settings(max_examples=300)
@given(st.lists(st.text(alphabet='ABcz|:[]{}()12/>-L, "!PM', max_size=24), min_size=2, max_size=3))
def test_interleaved_text_is_its_own_canonical_text(voices: list[str]):
    blocks = "".join(f"V:{number}\nA{music}\n" for number, music in enumerate(voices, start=1))
    once = canonical(f"K:C\nV:9\n{'CDEF' * 4}|\n{blocks}")
    assert canonical(once) == once
