"""Translated patterns against the tokenizers library's own splits and Unicode's case folding."""

from itertools import product
from string import ascii_lowercase

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from frspec.ranking.classes import ASKED, UntranslatableError, members
from frspec.ranking.patterns import MULTIPLE_FOLDS, Splitter

CHARACTERS = "aAbsSſ1٣ \n\r\u00a0.'。字か🙂𝒜𠮷\u0301"
ATOMS = st.sampled_from(
    [
        "a",
        "s",
        " ",
        "1",
        "'",
        r"\n",
        r"\.",
        r"\s",
        r"\S",
        r"\d",
        r"\w",
        r"\p{L}",
        r"\P{L}",
        r"\p{^N}",
        ".",
        "[ab]",
        "[^a]",
        r"[\p{L}&&[^a]]",
        "[[:alpha:]]",
        r"[^\s\p{L}]",
        "(?i:s)",
        "(?i:a|'s)",
        "字",
        "𝒜",
    ]
)
TIMES = st.sampled_from(["", "", "", "?", "+", "*", "{2}", "{1,3}", "{0,1}", "?+", "++", "*+", "{3,1}", "{0}"])
SIMPLE = st.tuples(ATOMS, TIMES).map("".join)
AHEAD = st.sampled_from(["(?!{})", "(?={})"])
PATTERNS = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map("|".join)
        | st.tuples(inner, st.sampled_from(["", "?", "+", "{1,2}"])).map(lambda both: f"(?:{both[0]}){both[1]}")
        | st.tuples(inner, AHEAD, inner).map(lambda all: all[0] + all[1].format(all[2]))
        | st.tuples(inner, st.sampled_from([r"\z", "$"])).map("".join)
    ),
    max_leaves=6,
)


@settings(max_examples=250, deadline=None)
@given(pattern=PATTERNS, text=st.text(CHARACTERS, max_size=30))
def test_any_pattern_splits_as_in_the_library_or_is_left_to_it(pattern: str, text: str) -> None:
    try:
        split = Splitter(pattern)
    except UntranslatableError:
        return
    pieces = pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)
    assert split(text) == [piece for piece, _ in pieces], pattern


def test_most_patterns_are_not_left_to_it() -> None:
    for pattern in (r"a(?=b)|\p{L}+", r"(?:ab|c)+\z", r"[[:alpha:]]+|(?i:'s|ll)?x", r"a{2,}|\P{L}$", r"(\s)+"):
        assert Splitter(pattern)("") == []


def test_letters_that_together_match_one_character() -> None:
    pairs = "|".join(map("".join, product(ascii_lowercase, repeat=2)))
    found = [chr(c) for c in np.flatnonzero(members(f"(?i:{pairs})", "\n".join(ASKED)))]
    assert found
    for character in found:
        assert any(fold in character.casefold() for fold in MULTIPLE_FOLDS), character
    folds = {c.casefold() for c in ASKED if len(c.casefold()) > 1 and c.casefold().isascii()}
    assert all(any(known in fold for known in MULTIPLE_FOLDS) for fold in folds)


def test_an_unknown_syntax_is_named() -> None:
    with pytest.raises(UntranslatableError, match=r"\(\?<"):
        Splitter("a(?<=b)")
