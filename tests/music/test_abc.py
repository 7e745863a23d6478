import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_lab.music.abc import RejectedTune, canonical, count_notes, split_tunes
from scaling_lab.music.melody import melody, shingles
from scaling_lab.music.notes import read_notes
from scaling_lab.music.transpose import in_all_keys

NOTES = "GABc dedB|GABc d4|"  # 13 notes
TUNE = f"X:1\nT:A Title\nM:4/4\nL:1/8\nK:G\n{NOTES}GABc|]\n"


def body(music: str, header: str = "K:G\n") -> str:
    """Canonical music of a tune that begins with the line `music`, without its header and the notes that fill it up."""
    text = canonical(f"X:1\n{header}{music}\n{NOTES * 2}\n")
    return text.partition("K:G\n")[2].removesuffix(f"{NOTES * 2}\n").removesuffix("\n")


def test_a_tunebook_is_split_at_each_x_field():
    assert [tune[:4] for tune in split_tunes("intro\n\nX:1\nK:G\nabc\n\nX:2\nK:D\ndef\n")] == ["X:1\n", "X:2\n"]


def test_text_between_two_tunes_belongs_to_neither():
    first, _ = split_tunes("X:1\nK:G\nabc\n\nA word about the next tune\n\nX:2\nK:D\ndef\n")
    assert "word" not in first


def test_a_text_without_x_field_is_one_tune():
    assert list(split_tunes("K:G\nabc")) == ["K:G\nabc"]


def test_titles_comments_and_lyrics_are_dropped():
    text = canonical(TUNE.replace("K:G\n", "Z:me\nN:note\nK:G\n% comment\n").replace("|]\n", "|] % end\nw:la la\n"))
    assert text == f"M:4/4\nL:1/8\nK:G\n{NOTES}GABc|]\n"


def test_header_fields_come_in_one_order_whatever_theirs_was():
    text = canonical("X:1\nQ:1/4=80\nP:ABA\nL:1/8\nM:C|\nR:Reel\nV:1 clef=treble\nV:2\nK:G\n" + NOTES * 2)
    assert re.findall("^[A-Z]:.*", text, re.MULTILINE) == [
        "R:reel",
        "M:C|",
        "L:1/8",
        "Q:1/4=80",
        "P:ABA",
        "V:1",
        "V:2",
        "K:G",
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("E Minor", "Em"),
        ("Emin", "Em"),
        ("A Mixolydian % said Aird", "Amix"),
        ("G major", "G"),
        ("DDor", "Ddor"),
        ("F#m", "F#m"),
        ("Bb", "Bb"),
        ("Hp", "Hp"),
        ("", "none"),
    ],
)
def test_a_key_has_one_spelling(given: str, kept: str):
    assert f"K:{kept}\n" in canonical(TUNE.replace("K:G", f"K:{given}"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('A"4"B"^Segno"c', "ABc"),
        ('"Am7"A"F#/C#"B', '"Am7"A"F#/C#"B'),
        ("!trill!A!4!B!mf!c", "!trill!AB!mf!c"),
        ("A2``B2 y c", "A2B2 c"),
        ("AB !\\", "AB"),
        ("+EA+ B", "[EA] B"),
        ("A   |  B :|  |: c", "A|B:||:c"),
        ("A | : B : | c [CE] [DF]", "A|:B:|c [CE] [DF]"),
        ("[K:E minor]A[r:remark]B[V:1 name=x]c", "[K:Em]AB[V:1]c"),
        ("{ag}A (3BcB ~d .e Tf ug vG Ha", "{ag}A (3BcB ~d .e Tf ug vG Ha"),
    ],
)
def test_of_a_line_only_the_music_is_kept(given: str, kept: str):
    assert body(given.replace("\\", "")) == kept


def test_a_line_ending_in_a_backslash_goes_on_in_the_next():
    assert body("AB|\\\ncd|") == "AB|cd|"


def test_a_note_before_the_end_of_a_repeat_is_no_field():
    assert body("GABc|\nA:|") == "GABc|\nA:|"


def test_a_field_inside_the_music_is_kept_in_its_place():
    assert body("AB|\nP:B\nM:6/8\nP:With words\ncd|") == "AB|\nP:B\nM:6/8\ncd|"


def test_a_tune_without_a_key_is_rejected():
    with pytest.raises(RejectedTune, match="no K: field"):
        canonical("X:1\nM:4/4\n" + NOTES * 2)


def test_a_tune_of_fewer_than_16_notes_is_rejected():
    with pytest.raises(RejectedTune, match="fewer than 16 notes"):
        canonical("X:1\nK:G\n" + NOTES + "AB|")
    assert canonical("X:1\nK:G\n" + NOTES + "ABc|")


def test_letters_of_fields_chord_symbols_and_decorations_are_no_notes():
    assert count_notes('P:A\n[K:D]"Am"A!fermata!B\n') == 2


PIECES = st.sampled_from(
    [
        *("X:1\n", "K:", "K:G\n", "K:D exp ^f _b\n", "M:4/4\n", "M:0/0\n", "M:none\n", "L:0\n", "L:1/8\n", "Q:0\n"),
        *(
            "Q:1/4=" + "9" * 30 + "\n",
            "P:A(BC)2\n",
            "V:1\n",
            "V:2 octave=-99\n",
            "[V:2]",
            "[K:Am]",
            "[M:7/8]",
            "[L:1/0]",
        ),
        *(
            "%%score (1 2)\n",
            "w: la-la\n",
            "U:T=!trill!\n",
            "%c\n",
            "\\\n",
            "\n",
            "\n\n",
            "\r",
            "\x00",
            "\u2028",
            "\x0b",
        ),
        *("[", "]", "{", "}", "(3", "(0:0:0", "|", "||", "|:", ":|", "::", "[1", "|2", "[2,3-5", "&", '"Am"', '"', "!"),
        *("!trill!", "+", "~", ".", "-", "<<", ">>>>", "/", "//////", "0", "1/0", "9" * 50, "z", "Z4", "x", "A", "b'"),
        *("C,,", "c" + "'" * 30, "^", "__", "^^^", "=", " ", NOTES),
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=60).map("".join), st.booleans())
def test_any_tunebook_is_tunes_or_rejected_ones(text: str, begins_well: bool):
    for tune in split_tunes(TUNE + text if begins_well else text):
        try:
            music = canonical(tune)
        except RejectedTune:
            continue
        assert count_notes(music) >= 16
        assert read_notes(music).bars
        assert len(list(in_all_keys(music))) <= 11
        assert len(shingles(melody(music))) <= count_notes(music)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "K:G\n",
            "V:1\nA\n",
            "V:2\n",
            "X:1\n",
            "[V:1]",
            "[V:2]A",
            "A|",
            "|: ",
            ": | ",
            "[",
            '"',
            '"A"',
            "!",
            "!a",
            "(",
        ),
        *("{", "(3", "+", "A+", "/", "9", ">", "&", "\\\n", "\n\n", "%", "[K:", "[1", "-", "A-", "A\\\n", "^", ","),
    ],
)
def test_a_text_made_to_be_slow_is_read_to_its_end(piece: str):
    # A reader that went over it again for each of its symbols would be at it for an hour.
    text = f"X:1\nK:G\n{NOTES * 2}" + piece * (200_000 // len(piece))
    for tune in split_tunes(text):
        try:
            music = canonical(tune)
        except RejectedTune:
            continue
        assert read_notes(music).notes
        assert len(shingles(melody(music))) <= len(music)


@given(st.text(alphabet='ABCdefgz|:[]{}()"!+\\%`~-/23, \nPKV\0', max_size=80) | st.text(max_size=40))
def test_canonical_text_is_its_own_canonical_text(music: str):
    once = canonical(f"X:1\nK:G\n{NOTES * 2}\n{music}")
    assert canonical(once) == once
