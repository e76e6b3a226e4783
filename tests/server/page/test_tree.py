"""Where the nodes of a tree go: any tree can be read, and nothing lies on anything else."""

import random
import re
from itertools import combinations, pairwise
from typing import Any

from playwright.sync_api import Page

DRAW = """async (rounds) => {
  const { draw } = await import("./page/tree.js");
  const numbers = (box) => ["x", "y", "width", "height"].map((name) => Number(box.getAttribute(name)));
  return rounds.map((round) => {
    const place = document.createElement("div");
    draw(place, round, " own");
    const nodes = [...place.querySelectorAll(".node")];
    return {
      boxes: nodes.map((node) => [node.textContent, ...numbers(node.firstChild)]),
      path: nodes.filter((node) => node.matches(".accepted")).map((node) => node.textContent).sort(),
      lines: [...place.querySelectorAll(".edge")].map((line) => line.getAttribute("d")),
      size: ["width", "height"].map((name) => Number(place.firstChild.getAttribute(name))),
    };
  });
}"""


def some_round(rng: random.Random) -> dict[str, Any]:
    """A verified tree of up to forty nodes, of any shape, with any accepted path; its texts are its nodes' numbers."""
    deep = rng.random()
    parents = [0, *(node - 1 if rng.random() < deep else rng.randrange(node) for node in range(1, rng.randint(1, 40)))]
    depths, path = [0], [0]
    for node in range(1, len(parents)):
        depths.append(depths[parents[node]] + 1)
        if parents[node] == path[-1] and rng.random() < 0.6:
            path.append(node)
    tokens = list(range(len(parents)))
    texts = [str(node) for node in tokens]
    return {
        "tokens": tokens, "texts": texts, "parents": parents, "depths": depths, "path": path,
        "emitted": [*path[1:], -1],
    }  # fmt: skip


def corners(line: str) -> list[tuple[float, float]]:
    """The points of an edge, its round corners made square."""
    start, y, *rest = (float(number) for number in re.findall(r"-?[\d.]+", re.sub(r"q[^VH]*", " ", line)))
    if len(rest) == 1:
        return [(start, y), (rest[0], y)]
    _, vertical, end = rest
    bend = rest[0] + 6
    return [(start, y), (bend, y), (bend, vertical + 6), (end, vertical + 6)]


def test_nothing_lies_on_anything_else(page: Page) -> None:
    rng = random.Random(0)
    rounds = [some_round(rng) for _ in range(60)]
    for round_, drawn in zip(rounds, page.evaluate(DRAW, rounds), strict=True):
        boxes = {text: (x, y, x + width, y + height) for text, x, y, width, height in drawn["boxes"]}
        assert set(boxes) == {*round_["texts"], "·own"}
        assert drawn["path"] == sorted([*(str(node) for node in round_["path"]), "·own"])
        for a, b in combinations(boxes.values(), 2):
            assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
        assert max(box[2] for box in boxes.values()) <= drawn["size"][0]
        assert max(box[3] for box in boxes.values()) <= drawn["size"][1]
        assert {boxes[text][1] for text in drawn["path"]} == {boxes["0"][1]}  # one straight line, at the top
        lines = [corners(line) for line in drawn["lines"]]
        assert len(lines) == len(boxes) - 1
        for points in lines:
            for (x, y), (to, below) in pairwise(points):
                inside = [b for b in boxes.values() if b[0] < max(x, to) and min(x, to) < b[2] and b[1] < max(y, below)
                          and min(y, below) < b[3]]  # fmt: skip
                assert not inside
        for a, b in combinations(lines, 2):
            assert a[0] == b[0] or not crossing(a, b), "lines of different parents cross"


def crossing(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> bool:
    """Whether a level part of one meets an upright part of the other."""
    for one, other in ((a, b), (b, a)):
        for (x, y), (to, _) in [pair for pair in pairwise(one) if pair[0][1] == pair[1][1]]:
            for (at, top), (_, bottom) in [pair for pair in pairwise(other) if pair[0][0] == pair[1][0]]:
                if x <= at <= to and top <= y <= bottom:
                    return True
    return False


def test_a_chain_of_hundreds(page: Page) -> None:
    count = 400
    chain = {
        "tokens": list(range(count)), "texts": ["x"] * count, "parents": [0, *range(count - 1)],
        "depths": list(range(count)), "path": [0], "emitted": [-1],
    }  # fmt: skip
    (drawn,) = page.evaluate(DRAW, [chain])
    assert len({y for _, _, y, _, _ in drawn["boxes"]}) == 2
