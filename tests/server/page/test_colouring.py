"""Cutting text where tokens end, against Python's own strings."""

import random
from itertools import accumulate
from typing import Any

from playwright.sync_api import Page

LETTERS = "ab é漢\n" + "😀\u200d👩🏽\u0301\u202e"

CUT = """async (chunks) => {
  const { Colouring } = await import("./page/colouring.js");
  const colouring = new Colouring();
  return chunks.map(({ text, tokens }) =>
    colouring.cut(text, tokens).map(({ text, token }) => [text, token?.id ?? null]));
}"""


def chunks_of(texts: list[str], rng: random.Random) -> list[dict[str, Any]]:
    """Tokens with their texts as a server may send them: the text up to three characters late."""
    whole, ends = "".join(texts), list(accumulate(map(len, texts)))
    chunks, sent, shown = [], 0, 0
    while sent < len(texts) or shown < len(whole):
        new = min(len(texts), sent + rng.randint(0, 4))
        reach = max(shown, (ends[new - 1] if new else 0) - (rng.randint(0, 3) if new < len(texts) else 0))
        chunks.append({"text": whole[shown:reach], "tokens": [{"id": i, "end": ends[i]} for i in range(sent, new)]})
        sent, shown = new, reach
    return chunks


def test_every_piece_is_given_to_the_token_that_brought_it(page: Page) -> None:
    rng = random.Random(0)
    for _ in range(30):
        texts = ["".join(rng.choices(LETTERS, k=rng.choice([0, 0, 1, 2, 5]))) for _ in range(rng.randint(1, 20))]
        chunks = chunks_of(texts, rng)
        pieces = page.evaluate(CUT, chunks)
        assert ["".join(text for text, _ in cut) for cut in pieces] == [chunk["text"] for chunk in chunks]
        rebuilt = dict.fromkeys(range(len(texts)), "")
        for text, token in (piece for cut in pieces for piece in cut):
            rebuilt[token] += text
        assert list(rebuilt.values()) == texts


def test_text_without_tokens_is_shown_all_the_same(page: Page) -> None:
    assert page.evaluate(CUT, [{"text": "😀!", "tokens": []}]) == [[["😀!", None]]]
