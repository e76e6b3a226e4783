"""Tokens as people read them."""

import pytest

from frspec.text.readable import readable

SHOWN = {
    b" the": "' the'",
    b"it's": '"it\'s"',
    b"\n\n": r"'\n\n'",
    b"\t": r"'\t'",
    b" " * 24: "' ' × 24",
    b"=" * 5: "'=' × 5",
    b"====": "'===='",
    b"\n" * 9: r"'\n' × 9",
    b"\x00\x1b[31m": r"'\x00\x1b[31m'",
    b"\x7f": r"'\x7f'",
    "é".encode(): "'é'",
    "日本".encode(): "'日本'",
    "日".encode()[:2]: "⟨e6 97⟩",
    b" " + "क".encode()[:2]: "' ' ⟨e0 a4⟩",
    b"\x80": "⟨80⟩",
    b"\xff" * 6: "⟨ff ff ff ff ff ff⟩",
    b"a\xe3\x81b": "'a' ⟨e3 81⟩ 'b'",
    "\u0301".encode(): "'◌\u0301'",
    "\u202eabc".encode(): r"'\u202eabc'",
    "\u200b".encode(): r"'\u200b'",
    "\ufeff".encode(): r"'\ufeff'",
    "\u2028".encode(): r"'\u2028'",
    b"<script>": "'<script>'",
    b"": "(unused)",
}


@pytest.mark.parametrize("content", SHOWN, ids=repr)
def test_a_token_can_be_read(content: bytes) -> None:
    assert readable(content) == SHOWN[content]


def test_nothing_of_any_token_steers_a_terminal_or_is_lost() -> None:
    seen = set()
    for first in range(256):
        for second in (b"", b"\xa4", b" ", b"\x1b"):
            shown = readable(bytes([first]) + second)
            assert shown.isprintable()
            seen.add(shown)
    assert len(seen) == 256 * 4
