"""A report whose every name and token would like to be more than text."""

from __future__ import annotations

import numpy as np
from tokenizers import AddedToken

from frspec.ranking.counts import Counts, Sparse
from frspec.ranking.figures import Report
from frspec.ranking.ranking import Ranking
from frspec.ranking.report import Reporter, ask
from frspec.ranking.runs import Sample
from frspec.text.tokenizer import Tokenizer

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "</style><script>alert(2)</script>",
    '"><svg onload=alert(3)>',
    "</title></table><h1>no heading</h1>",
    "<a href='javascript:alert(4)'>click</a>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;",
    "</svg><style>*{display:none}</style>",
    "\u202eturned\u202c",
    "\x1b[31mred",
    "`${alert(5)}`",
    "$x^2$",
)


def hostile_report() -> Report:
    """Tokens, texts, parts, sources and provenance with the names above; the tokens are those that are missed."""
    tokenizer = Tokenizer.load("demo")
    tokenizer.backend.add_tokens([AddedToken(text, normalized=False) for text in HOSTILE])
    tokenizer = Tokenizer(tokenizer.backend, HOSTILE[0], {})
    first = tokenizer.vocab_size - len(HOSTILE)
    plain, bad = np.zeros((2, tokenizer.vocab_size), dtype=np.int64)
    plain[:first] = np.arange(first, 0, -1)
    bad[first:] = np.arange(len(HOSTILE), 0, -1)
    counts, samples = Counts(tokenizer.vocab_size), dict[str, Sample]()
    for name in HOSTILE:
        part = counts.part(name)
        times = bad + (plain > first - 99)
        part.add(Sparse(np.flatnonzero(times), times[times > 0], documents=3, characters=999))
        ids = np.repeat(np.arange(tokenizer.vocab_size), part.by_id)
        samples[name] = Sample(ids, np.array([len(ids)]))
    ranking = Ranking.from_parts(dict.fromkeys(HOSTILE[:3], plain), tokenizer.fingerprint, {})
    question = ask(ranking, tokenizer.vocab_size, (), None, 5)
    about = {
        "file": HOSTILE[0],
        "sources": list(HOSTILE),
        "only": ["assistant"],
        "provenance": {text: text for text in HOSTILE} | {"parts": {HOSTILE[0]: {"tokens": 3}}},
    }
    return Reporter(ranking, tokenizer, (), question).report(counts, samples, about)
