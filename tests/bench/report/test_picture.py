"""The picture shows the figures it was given: read back from what matplotlib drew."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from frspec.bench.report import write
from frspec.bench.report.picture import draw
from frspec.ranking.figures import Report
from tests.bench.report.hostile import HOSTILE, hostile_report


@pytest.fixture(scope="module")
def report() -> Report:
    return hostile_report()


def test_lines(report: Report) -> None:
    coverage, frequency, matrix = draw(report).axes
    solid = {line.get_label(): line for line in coverage.lines if not str(line.get_label()).startswith("_")}
    assert len(solid) == len(report.rows)
    for line, text in zip(solid.values(), report.rows, strict=True):
        assert list(line.get_xdata()) == list(text.curve.sizes)  # type: ignore[arg-type]
        missed = [max(1e-4, 1 - share) for share in text.curve.shares]
        assert list(line.get_ydata()) == pytest.approx(missed)  # type: ignore[arg-type]
        marks = [text.curve.sizes[place] for place in line.get_markevery()]  # type: ignore[attr-defined]
        assert marks == list(report.question.sizes)
    assert len(frequency.lines) == len(report.rows) + 1
    assert list(frequency.lines[1].get_ydata()) == list(report.whole.frequencies.shares)  # type: ignore[arg-type]
    assert report.matrix is not None
    assert len(matrix.texts) == len(report.matrix.names) * len(report.matrix.columns)


def test_without_parts_and_counts(report: Report) -> None:
    coverage, frequency = draw(replace(report, matrix=None, frequencies=None, texts=())).axes
    assert len(coverage.lines) == 3  # the text, the best possible, the size that is looked at
    assert len(frequency.lines) == 1


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_files(report: Report, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"report.{ending}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # no font has control characters
        write(report, file)
    if ending == "png":
        assert file.read_bytes().startswith(b"\x89PNG")
        return
    root = ET.parse(file).getroot()
    texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(HOSTILE[0] in text for text in texts)
    assert not [element for element in root.iter() if element.tag.endswith(("script", "img"))]
