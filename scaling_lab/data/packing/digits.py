"""Lists of ids read out of JSON's text by numpy, many lists at once: no Python integer is made on the way.

As Python integers a list takes six times the room of its text, and longer to be made into an array than to be read.
Here the four or eight bytes that end with a number's last digit are taken as one word, and two or three multiplications
turn the digits of all words into numbers.
"""

from collections.abc import Sequence

import numpy as np

# As many digits as the longer word has bytes; a larger id is left to a JSON parser.
_MOST_DIGITS = 8
_ZERO, _COMMA = ord("0"), ord(",")
# The digit that is worth most is lowest in a word. Each step puts neighbours together, to numbers under a hundred, ten
# thousand, a hundred million: (bits that they are apart, what the left one is worth, bits that hold the sums).
_STEPS = ((8, 10, 0x00FF00FF00FF00FF), (16, 100, 0x0000FFFF0000FFFF), (32, 10_000, 0x00000000FFFFFFFF))


def read_ids(texts: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray] | None:
    """The ids in `texts`, each the inside of a JSON list of one id or more, of digits, commas and white space alone.

    Returns ids (n_ids,) uint32, those of all lists end to end, and bounds (n_texts + 1,) int64: list i is
    ids[bounds[i]:bounds[i + 1]]. None where it takes a parser to tell: a text is no JSON (`1 2`, `1,,2`, `01`), has
    white space before a comma, or an id of more than eight digits.
    """
    texts = [text.rstrip() for text in texts]
    # White space in front, so that a word can end at the first digit; a comma behind, as there is after all others.
    codes = np.frombuffer(b" " * _MOST_DIGITS + b",".join(texts) + b",", dtype=np.uint8)
    is_digit = codes - _ZERO < 10  # what is below "0" wraps round to large numbers
    edges = np.flatnonzero(is_digit[1:] != is_digit[:-1])
    edges += 1
    begins, ends = edges[::2], edges[1::2]
    lengths = ends - begins
    # As many commas as numbers, and one right after each: so there are no others.
    if np.count_nonzero(codes == _COMMA) != len(ends) or not (codes[ends] == _COMMA).all():
        return None
    if lengths.max() > _MOST_DIGITS or ((codes[begins] == _ZERO) & (lengths > 1)).any():
        return None
    ends_of_texts = _MOST_DIGITS + np.cumsum([len(text) + 1 for text in texts])
    bounds = np.concatenate([[0], np.searchsorted(begins, ends_of_texts)])
    return _values(codes, ends, lengths), bounds


def _values(codes: np.ndarray, ends: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers of `lengths` digits that end before `ends` in `codes`, (n,) uint32."""
    width = 4 if lengths.max() <= 4 else 8
    dtype = np.dtype(f"<u{width}")
    word_at = np.ndarray((len(codes) - width + 1,), dtype, buffer=codes.data, strides=(1,))
    words = word_at[ends - width]
    # Of a word only the digits of its number stay, as values; what came before it is zeros in front.
    digits = [sum(0x0F << 8 * place for place in range(width - length, width)) for length in range(width + 1)]
    words &= np.array(digits, dtype)[lengths]
    for shift, power, kept in _STEPS[: 2 if width == 4 else 3]:
        right = words >> dtype.type(shift)
        words *= dtype.type(power)
        words += right
        words &= dtype.type(kept & (1 << 8 * width) - 1)
    return words.astype(np.uint32, copy=False)
