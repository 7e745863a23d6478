from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_lab.music.notes import TICKS_PER_WHOLE, read_notes


def durations(music: str, header: str = "M:4/4\nL:1/8\nK:C\n") -> list[Fraction]:
    """Durations of all notes in eighths, the unit length."""
    return [Fraction(note.duration, TICKS_PER_WHOLE) * 8 for note in read_notes(header + music).notes]


def pitches(music: str, key: str = "C", unfold: bool = False) -> list[int]:
    return [note.pitch for note in read_notes(f"M:4/4\nL:1/8\nK:{key}\n{music}", unfold=unfold).notes]


def played(music: str) -> str:
    """The letters of the notes as they are played."""
    return "".join("C D EF G A B"[pitch - 60] for pitch in pitches(music, unfold=True))


@pytest.mark.parametrize(
    ("music", "eighths"),
    [
        ("A A2 A/ A3/2 A// A/4", [1, 2, "1/2", "3/2", "1/4", "1/4"]),
        ("(3ABc d", ["2/3", "2/3", "2/3", 1]),
        ("(3:2:2A2B c (5:4:5ABcde", ["4/3", "2/3", 1, "4/5", "4/5", "4/5", "4/5", "4/5"]),
        ("(11:8:11A4A4A4A4A4A4A4A4A4A4A4 B", ["32/11"] * 11 + [1]),
        ("(9:4:9(1:1:3ABcdef", ["4/9"] * 6),
        ("A>B A<B A>>B", ["3/2", "1/2", "1/2", "3/2", "7/4", "1/4"]),
        ("[CE]2 [C2E2]", [2, 2, 2, 2]),
        ("{ab}A z2 B", [1, 1]),
        ("A2-|A B-c", [3, 1, 1]),
        ("[CE]-[CE]|[C-E]C", [2, 2, 2, 1]),
        ('"Am"!trill!.A (uB)', [1, 1]),
    ],
)
def test_a_note_lasts(music: str, eighths: list):
    assert sorted(durations(music)) == sorted(map(Fraction, eighths))


def test_two_notes_of_a_tuplet_take_the_time_of_three_and_five_that_of_the_metre():
    assert durations("(2AB (5ABcde", "M:6/8\nL:1/8\nK:C\n") == [Fraction(3, 2)] * 2 + [Fraction(3, 5)] * 5
    assert durations("(5ABcde")[0] == Fraction(2, 5)


@pytest.mark.parametrize(("header", "eighths"), [("M:2/4\n", "1/2"), ("M:3/4\n", 1), ("M:C\n", 1), ("L:1/4\n", 2)])
def test_the_unit_length_follows_from_the_metre_unless_it_is_given(header: str, eighths: str):
    assert durations("A", f"{header}K:C\n") == [Fraction(eighths)]


def test_keys_and_accidentals_last_as_they_do_in_melodies():
    assert pitches("F ^c c|c [K:F]B", key="D") == [66, 73, 73, 73, 70]
    assert pitches("F=F[K:bass]F|F", key="G") == [66, 65, 65, 66]
    assert pitches("F", key="D=f") == [65]


def test_a_tie_carries_an_accidental_over_the_bar_line_and_no_further():
    assert pitches("^F4-|F2 F2") == [66, 65]


def test_an_overlay_goes_back_to_the_beginning_of_the_bar():
    score = read_notes("M:4/4\nL:1/8\nK:C\nC8|E4G4&c8|\n")
    assert [note.onset * 8 // TICKS_PER_WHOLE for note in score.notes] == [0, 8, 12, 8]
    assert [bar.length for bar in score.bars] == [TICKS_PER_WHOLE] * 2


def test_each_voice_has_its_own_time_key_and_bars():
    score = read_notes("M:4/4\nL:1/8\nK:C\n[V:1]C8|[V:2][K:D]F8|\n[V:1]F8|[V:2]F8|\n")
    assert {(note.voice, note.onset // TICKS_PER_WHOLE, note.pitch) for note in score.notes} == {
        ("1", 0, 60),
        ("1", 1, 65),
        ("2", 0, 66),
        ("2", 1, 66),
    }
    assert [(bar.voice, bar.length == bar.metre) for bar in score.bars] == [("1", True)] * 2 + [("2", True)] * 2


def test_a_bar_knows_its_metre_and_its_lines():
    bars = read_notes("M:3/4\nL:1/8\nK:C\nC|:C6|[M:2/4]C4:|\nC4||\n").bars
    quarters = [(bar.length * 4 // TICKS_PER_WHOLE, (bar.metre or 0) * 4 // TICKS_PER_WHOLE) for bar in bars]
    assert quarters == [(0, 3), (3, 3), (2, 2), (2, 2)]
    assert [bar.opened_by + " " + bar.closed_by for bar in bars] == [" |:", "|: |", "| :|", ":| ||"]


@pytest.mark.parametrize(
    ("music", "letters"),
    [
        ("C|D:|E|F", "CDCDEF"),
        ("C|:D|E:|F", "CDEDEF"),
        ("C:|:D:|", "CCDD"),
        ("C::D:|", "CCDD"),
        ("C|1 D:|2 E|F", "CDCEF"),
        ("C|1 D:|2 E||F|", "CDCEF"),
        ("C|1 D:|2 E|B||F|", "CDCEBF"),
        ("|:C|[1 D:|[2 E:|[3 F|]", "CDCECF"),
        ("C|[1 D:|[2 E|]\n|:F|1 G:|2 A|]", "CDCEFGFA"),
        ("C|1 D:|E|", "CDCE"),
    ],
)
def test_repeats_are_played_out(music: str, letters: str):
    assert played(f"{music}\n") == letters


def test_a_tempo_counts_quarters():
    tempos = {q: read_notes(f"Q:{q}\nK:C\nA").quarters_per_minute for q in ("1/4=90", "3/8=60", "1/2=50", "100", "x")}
    assert tempos == {"1/4=90": 90, "3/8=60": 90, "1/2=50": 100, "100": 100, "x": 120}


def test_what_cannot_be_understood_is_passed_over_and_told():
    score = read_notes("K:C\nA[B}?c>\n")
    assert [note.pitch for note in score.notes] == [69, 71, 72]
    assert score.passed_over == "[}?"


def test_no_number_is_too_long():
    digits = "9" * 5000
    assert read_notes(f"M:{digits}/4\nL:1/{digits}\nQ:{digits}\nK:C\nA{digits} (3:{digits}BZ{digits}c").notes


@given(st.text(alphabet="ABcz|:[]{}()0123456789/<>-_^=&ZX \nKVML,'\"!", max_size=120) | st.text(max_size=40))
def test_no_text_is_too_strange(music: str):
    for text in (f"M:4/4\nL:1/8\nK:C\n{music}", music):
        assert len(read_notes(text).passed_over) <= len(text)
        assert all(note.duration > 0 and note.onset >= 0 for note in read_notes(text, unfold=True).notes)
