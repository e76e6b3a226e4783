"""Pictures show the numbers they were given: read back from what matplotlib drew."""

import copy
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from frspec.bench.plots import KINDS, check_plot, curve, draw, grid, profile, roofline, speed, subset
from frspec.errors import UserError

TASKS = ("qa", "math_reasoning", "summarization")
SIZES = {"full": 131072, "32768": 32768, "0.99": 7483}
SPLIT = {"verify": 0.0025, "draft head": 0.0015, "sampling": 0.001}


def row(method: str, tokens_per_second: float | None, **figures: Any) -> dict[str, Any]:
    speeds = {"tokens_per_second": tokens_per_second, "ratio_to_plain": 1.5, "mean_acceptance_length": 2.5}
    setting = dict.fromkeys(("draft", "draft_vocab", "draft_vocab_size", "shape", "synthetic"))
    rest = {"method": method, "peer": False, "seconds_per_pass": SPLIT}
    tasks = {task: speeds | {"tokens_per_second": place + 10.0} for place, task in enumerate(TASKS)}
    return setting | speeds | rest | {"tasks": tasks} | figures


def result(temperature: float = 0.0) -> dict[str, Any]:
    rows = [row("plain", 40.0), row("llama.cpp", 30.0, peer=True, seconds_per_pass={})]
    rows += [
        row(
            f"eagle {name} chain:4", 60.0 - place, mean_acceptance_length=3.0 - place / 4,
            draft="head", draft_vocab=name, draft_vocab_size=size, shape="chain:4",
        )
        for place, (name, size) in enumerate(SIZES.items())
    ]  # fmt: skip
    machine = {"processor": "A processor", "threads": 2}
    return {"model": "models/my-model", "temperature": temperature, "prompts": 9, "machine": machine, "methods": rows}


def texts(file: Path) -> list[str]:
    """Every text in an SVG file."""
    return [
        "".join(element.itertext()) for element in ET.parse(file).getroot().iter("{http://www.w3.org/2000/svg}text")
    ]


@pytest.mark.parametrize("kind", ["speed", "subset", "profile"])
def test_every_kind_of_one_and_of_several_results(kind: str, tmp_path: Path) -> None:
    for number, results in enumerate(([result()], [result(), result(1.0)])):
        draw(kind, results, tmp_path / f"{number}.png")
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")
        draw(kind, results, tmp_path / f"{number}.svg")
        written = texts(tmp_path / f"{number}.svg")
        for one in results:
            assert any(f"my-model, temperature {one['temperature']:g}, 9 prompts" in text for text in written)
        assert any("A processor, 2 threads" in text for text in written)


def test_a_grid_invents_no_ratio() -> None:
    """A ratio without two samples in one mode of the memory, and the speed of single tokens, are figures that do not
    exist."""
    one = result()
    full, quarter, share = one["methods"][2:]
    full |= {"ratio_to_plain": None}
    quarter |= {"ratio_to_plain": 0.9}
    share |= {"ratio_to_plain": None, "tokens_per_second": None}
    (axes, *_) = grid.draw([one]).axes
    assert [text.get_text() for text in axes.texts] == [
        "–\n60 tok/s, 3.00",
        "0.90 ×\n59 tok/s, 2.75",
        "–\n– tok/s, 2.50",
    ]
    assert axes.images[0].get_array().mask.tolist() == [[True], [False], [True]]
    assert [patch.get_y() for patch in axes.patches] == [0.5]  # the framed one is the quarter
    quarter |= {"ratio_to_plain": None}
    assert not grid.draw([one]).axes[0].patches


def bars(panel: Any, axis: Any) -> dict[str, float]:
    """The width of each method's bars, added up; ``axis``: the panel that names the methods for its row."""
    names = [label.get_text() for label in axis.get_yticklabels()]
    widths = dict.fromkeys(names, 0.0)
    for patch in panel.patches:
        widths[names[round(patch.get_y() + patch.get_height() / 2)]] += patch.get_width()
    return widths


def test_speed_in_all_and_in_each_task() -> None:
    given = result()
    (block,) = speed.draw([given]).subfigs
    panels = {panel.get_title(): panel for panel in block.axes if panel.get_visible()}
    axis = block.axes[0]
    assert list(panels) == ["all tasks, tok/s", "mean acceptance length", *(f"{task}, tok/s" for task in TASKS)]
    assert bars(axis, axis) == {row["method"]: row["tokens_per_second"] for row in given["methods"]}
    assert bars(panels["math_reasoning, tok/s"], axis) == {row["method"]: 11 for row in given["methods"]}
    assert "60 (1.50×)" in [text.get_text() for text in panels["all tasks, tok/s"].texts]


def test_one_task_and_no_speed() -> None:
    given = result()
    for each in given["methods"]:
        each["tasks"] = {"texts": each["tasks"]["qa"]}
    given["methods"][1]["tokens_per_second"] = None
    panels = [panel for panel in speed.draw([given]).subfigs[0].axes if panel.get_visible()]
    assert len(panels) == 2
    assert [text.get_text() for text in panels[0].texts][1] == "–"


def test_subset_is_a_line_over_sizes() -> None:
    given = result()
    acceptance, rate, _ = subset.draw([given]).axes
    sizes, values = acceptance.lines[0].get_data()
    assert (list(sizes), list(values)) == ([7483, 32768, 131072], [2.5, 2.75, 3.0])
    assert list(rate.lines[0].get_data()[1]) == [58, 59, 60]
    assert list(rate.lines[1].get_ydata()) == [40, 40]
    assert [label.get_text() for label in acceptance.get_xticklabels()] == ["0.99 (7,483)", "32k", "full (128k)"]


def test_sizes_of_a_part_are_a_line_of_their_own() -> None:
    given = result()
    for size in (8192, 32768):
        name = f"{size}@de"
        given["methods"].append(
            row(f"eagle {name} chain:4", 50.0, draft="head", draft_vocab=name, draft_vocab_size=size, shape="chain:4")
        )
    acceptance = subset.draw([given]).axes[0]
    lines = {line.get_label(): list(line.get_xdata()) for line in acceptance.lines}
    assert lines == {"eagle chain:4": [7483, 32768, 131072], "eagle chain:4 of de": [8192, 32768]}
    assert "8k" in [label.get_text() for label in acceptance.get_xticklabels()]


def test_profile_is_the_time_of_a_token_by_parts() -> None:
    given = result()
    figure = profile.draw([given])
    (panel,) = figure.axes
    own = [row for row in given["methods"] if not row["peer"]]
    assert bars(panel, panel) == pytest.approx({row["method"]: 5.0 / row["mean_acceptance_length"] for row in own})
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["verify", "draft head", "sampling"]
    widths = [patch.get_width() for patch in panel.patches[:4]]
    assert widths == pytest.approx([2.5 / row["mean_acceptance_length"] for row in own])  # verification


def micro() -> dict[str, Any]:
    times = {
        "head": {1: 1.0, 4: 1.1, 16: 1.5},
        "head / 2": {1: 0.5, 4: 0.6, 16: 0.9},
        "whole step": {1: 10.0, 4: 10.5, 16: 13.0},
    }
    costs = [
        {"part": part, "rows": rows, "bytes": 10**9, "seconds": seconds, "memory": 40.0, "rate": 30.0, "share": 0.75}
        for part, taken in times.items()
        for rows, seconds in reversed(taken.items())
    ]
    machine = {"processor": "A processor", "threads": 2, "matrices": "int8"}
    norm = {"part": "norm", "rows": 1, "bytes": 0, "seconds": 1e-6, "memory": 40.0, "rate": 0.0, "share": 0.0}
    return {"model": "llama-3-8b", "machine": machine, "costs": [*costs, norm]}


def test_roofline_of_single_operations() -> None:
    figure = roofline.draw([micro()])
    (block,) = figure.subfigs
    assert block.get_suptitle() == "llama-3-8b, int8 matrices"
    rates, times = block.axes
    assert bars(rates, rates) == {"head": 30.0, "head / 2": 30.0, "whole step": 30.0}
    assert [text.get_text() for text in rates.texts] == ["30.0 (75%)"] * 3
    assert list(rates.lines[0].get_xdata()) == [40.0] * 3
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in times.lines}
    assert lines == {"head": ([1, 4, 16], [1.0, 1.1, 1.5]), "whole step": ([1, 4, 16], [1.0, 1.05, 1.3])}


def test_both_kinds_of_roofline_in_one_picture(tmp_path: Path) -> None:
    draw("roofline", [probed(), micro()], tmp_path / "a.svg")
    written = texts(tmp_path / "a.svg")
    assert "llama-3-8b, int8 matrices" in written
    assert any("temperature 0, 9 prompts" in text for text in written)
    for kind in ("speed", "subset", "profile"):
        with pytest.raises(UserError, match=f"no {kind} to draw; use --kind roofline"):
            draw(kind, [micro()], tmp_path / "a.svg")


def test_synthetic_acceptance_is_said() -> None:
    given = result()
    given["methods"][2]["synthetic"] = {"rates": [0.8], "mean_acceptance_length": 3.36}
    title = speed.draw([given]).subfigs[0].get_suptitle()
    assert "synthetic acceptance" in title
    assert "synthetic acceptance" in profile.draw([given]).axes[0].get_title()
    assert "synthetic acceptance" in subset.draw([given]).get_supxlabel()


def test_nothing_to_draw(tmp_path: Path) -> None:
    given = result()
    given["methods"] = given["methods"][:3]
    with pytest.raises(UserError, match="two draft vocabularies"):
        subset.draw([given])
    given["methods"] = given["methods"][1:2]
    with pytest.raises(UserError, match="says where its time went"):
        profile.draw([given])
    for name, problem in (("a.pdf", "name a .png or .svg file"), ("sub/a.png", "cannot write")):
        (tmp_path / "sub").touch()
        with pytest.raises(UserError, match=problem):
            check_plot(tmp_path / name)


def tuned() -> dict[str, Any]:
    given = result()
    given["methods"].append(row("eagle auto", 55.0, draft="head", draft_vocab="auto", shape="auto"))
    shares = {"8192": (0.9, 0.88), "32768": (0.97, 0.99), "full": (1.0, 1.0)}
    sizes = {"8192": 8200, "32768": 32776, "full": 131072}
    given["curve"] = [
        {
            "draft_vocab": name, "draft_vocab_size": sizes[name], "method": f"eagle {name}", "shape": "chain:4",
            "tokens_per_second": 50.0 + place, "ratio_to_plain": 1.2 + place / 10, "mean_acceptance_length": 2.0,
            "coverage": covered, "coverage_written": written, "predicted_ratio_to_plain": 1.5,
        }
        for place, (name, (covered, written)) in enumerate(shares.items())
    ]  # fmt: skip
    return given


def test_curve_is_speed_and_coverage_over_sizes() -> None:
    speeds, covers = curve.draw([tuned()]).axes
    lines = {str(line.get_label()): line.get_data() for line in [*speeds.lines, *covers.lines]}
    assert list(lines["measured, the best shape"][0]) == [8200, 32776, 131072]
    assert list(lines["measured, the best shape"][1]) == [50, 51, 52]
    assert list(lines["expected from costs"][1]) == [60, 60, 60], "of plain decoding's 40"
    assert set(lines["plain"][1]) == {40}
    assert set(lines["auto: measured costs decide"][1]) == {55}
    assert [list(data) for data in lines["the best size"]] == [[131072], [52]]
    assert list(lines["covers of the ranking's corpus"][1]) == [90, 97, 100]
    assert list(lines["covers of the text written here"][1]) == [88, 99, 100]
    assert [label.get_text() for label in speeds.get_xticklabels()] == ["8,192", "32,768", "full (131,072)"]


def test_curve_of_an_id_list_and_none() -> None:
    given = tuned()
    for point in given["curve"]:
        point |= {"coverage": None, "predicted_ratio_to_plain": None}
    speeds, covers = curve.draw([given]).axes
    assert [line.get_label() for line in covers.lines] == ["covers of the text written here"]
    assert "expected from costs" not in [line.get_label() for line in speeds.lines]
    with pytest.raises(UserError, match="there is no curve in it; frspec tune -o writes one"):
        curve.draw([result()])
    with pytest.raises(UserError, match="a curve shows one result"):
        curve.draw([given, given])


def test_what_is_drawn_is_not_changed(tmp_path: Path) -> None:
    given: Mapping[str, Any] = result()
    before = copy.deepcopy(given)
    for kind in ("speed", "subset", "profile"):
        draw(kind, [given], tmp_path / "a.png")
    assert given == before
    assert set(KINDS) >= {"speed", "subset", "profile", "roofline"}


def probed() -> dict[str, Any]:
    given = result() | {
        "pass_bytes": 10**9,
        "memory": {"slow": {"gb_per_second": 45.0}, "fast": {"gb_per_second": 80.0}},
    }
    for each in given["methods"]:
        each["memory_gb_per_second"] = 500.0
    return given


def test_roofline_is_bytes_over_time() -> None:
    given = probed()
    (block,) = roofline.draw([given]).subfigs
    (panel,) = block.axes
    assert bars(panel, panel) == pytest.approx({row["method"]: 400.0 for row in given["methods"] if not row["peer"]})
    assert panel.texts[0].get_text() == "400.0 (80%)"
    assert [line.get_xdata()[0] for line in panel.lines] == [45, 80]
    for each in given["methods"]:
        each["memory_gb_per_second"] = None
    with pytest.raises(UserError, match="how fast its passes and the memory were"):
        roofline.draw([given])
