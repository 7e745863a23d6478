"""A canonical tune in other keys: the same music, spelled as a musician would spell it there.

Every note keeps its place in the scale: the letter moves by as many letters as the tonic does, and an accidental stays
as far from what the key says as it was. So nothing needs to be known of bars, and the way back gives the text again.
"""

import re
from collections.abc import Iterator

from scaling_lab.music.abc import NOTE_LETTERS
from scaling_lab.music.melody import key_signature

_LETTERS = "CDEFGAB"
_SEMITONES = (0, 2, 4, 5, 7, 9, 11)
# One tonic for each of the twelve, that whose major key has fewest sharps or flats; for minor keys, counted from their
# relative major.
_MAJOR_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_FIFTHS = {"": 0, "m": 3, "mix": 1, "dor": 2, "phr": 4, "lyd": -1, "loc": 5}
_ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_SIGNS = {value: sign for sign, value in _ACCIDENTALS.items()}

_KEY = re.compile(r"([A-G])([#b]?)(mix|dor|phr|lyd|loc|m)?")
_CHORD_SYMBOL = re.compile(r'(?<=["/])([A-G])([#b]?)')
_SYMBOL = re.compile(
    r"^K:(?P<key>.*)$|\[K:(?P<inline_key>[^\[\]]*)\]"
    r'|(?P<quoted>"[^"]*")'
    r"|^[A-Z]:.*$|\[[A-Z]:[^\[\]]*\]|![^!]*!"
    rf"|(?<![_^=])(?P<signs>[_^=]*+)(?P<letter>[{NOTE_LETTERS}])(?P<octave>[,']*)",
    re.MULTILINE,
)


class Untransposable(ValueError):  # noqa: N818 - a verdict on one tune in one key
    """A tune can't be written in a key: its own key has no tonic, or a note would need three sharps."""


def in_all_keys(tune: str) -> Iterator[tuple[str, str]]:
    """The tune in the eleven other keys of its mode, each with its key; fewer where one can't be written.

    The nearer half up and the other half down, so that the range moves by six semitones at most.
    """
    key = re.search(r"^K:(.*)$", tune, re.MULTILINE)
    match = _KEY.match(key[1]) if key else None
    if match is None:
        return
    for semitones in (*range(1, 7), *range(-5, 0)):
        try:
            text = transposed(tune, semitones)
        except Untransposable:
            continue
        found = re.search(r"^K:(.*)$", text, re.MULTILINE)
        assert found
        yield found[1], text


def transposed(tune: str, semitones: int) -> str:
    """A canonical tune higher by `semitones`, from -11 to 11. Raises `Untransposable`."""
    return _Transposer(semitones).read(tune)


class _Transposer:
    """Walks through a tune, keeping the key it is in and that which it is brought into."""

    def __init__(self, semitones: int) -> None:
        self._semitones = semitones
        self._steps = 0
        self._before: dict[str, int] = {}
        self._after: dict[str, int] = {}

    def read(self, tune: str) -> str:
        return _SYMBOL.sub(self._symbol, tune)

    def _symbol(self, symbol: re.Match[str]) -> str:
        if symbol["key"] is not None:
            return f"K:{self._key(symbol['key'])}"
        if symbol["inline_key"] is not None:
            return f"[K:{self._key(symbol['inline_key'])}]"
        if symbol["quoted"]:
            return _CHORD_SYMBOL.sub(lambda match: self._chord(match[1], match[2]), symbol["quoted"])
        if symbol["letter"]:
            return self._note(symbol["signs"], symbol["letter"], symbol["octave"])
        return symbol[0]

    def _key(self, key: str) -> str:
        match = _KEY.match(key)
        if match is None:
            raise Untransposable(f"K:{key}")
        letter, sign, mode = match[1], match[2], match[3] or ""
        rest = key[match.end() :]
        if _ACCIDENTALS.keys() & set(rest):
            raise Untransposable(f"K:{key}")
        new_letter, new_sign = _tonic(letter, sign, mode, self._semitones)
        new_key = new_letter + new_sign + mode
        # By as many letters as the tonic, in the direction and the octave of the semitones.
        letters = (_LETTERS.index(new_letter) - _LETTERS.index(letter)) % 7
        self._steps = letters - 7 if self._semitones < 0 and letters else letters
        self._before, self._after = key_signature(match[0]), key_signature(new_key)
        return new_key + rest

    def _note(self, signs: str, letter: str, octave: str) -> str:
        upper = letter.upper()
        height = _LETTERS.index(upper) + 7 * (letter.islower() + octave.count("'") - octave.count(","))
        octaves, place = divmod(height + self._steps, 7)
        new_upper = _LETTERS[place]
        if signs:
            off = _ACCIDENTALS.get(signs)
            if off is None:
                raise Untransposable(signs)
            sign = _SIGNS.get(off - self._before.get(upper, 0) + self._after.get(new_upper, 0))
            if sign is None:
                raise Untransposable(signs)
            signs = sign
        name = new_upper.lower() if octaves > 0 else new_upper
        return signs + name + ("'" * (octaves - 1) if octaves > 0 else "," * -octaves)

    def _chord(self, letter: str, sign: str) -> str:
        place = (_LETTERS.index(letter) + self._steps) % 7
        alteration = {"": 0, "#": 1, "b": -1}[sign]
        off = alteration - self._before.get(letter, 0) + self._after.get(_LETTERS[place], 0)
        if abs(off) > 1:
            raise Untransposable(letter + sign)
        return _LETTERS[place] + ("#" if off > 0 else "b" if off < 0 else "")


def _tonic(letter: str, sign: str, mode: str, semitones: int) -> tuple[str, str]:
    """Letter and sign of the tonic `semitones` above another, spelled so that the key has fewest accidentals."""
    pitch = _SEMITONES[_LETTERS.index(letter)] + {"": 0, "#": 1, "b": -1}[sign] + semitones
    # The tonic lies as many fifths above that of its relative major as the mode says: seven semitones each.
    fifths = _FIFTHS[mode]
    major = _MAJOR_TONICS[(pitch - 7 * fifths) % 12]
    step = (_LETTERS.index(major[0]) + 4 * fifths) % 7
    off = (pitch - _SEMITONES[step] + 6) % 12 - 6
    return _LETTERS[step], {0: "", 1: "#", -1: "b"}[off]
