"""Every format there and back: what frspec writes read by the other program's code, what that writes read by frspec.

    pip install --no-deps --target programs speculators specforge sglang
    PYTHONPATH=programs python recipes/ranking/round_trips.py RANKING [--size N]

Prints a table: "there" and "back" say whether the same ids came out (in their order, where the format has one), and
the last column what ``frspec convert`` says is lost. Programs that are not installed are named. The last line is one
JSON object; the exit status is 1 where something did not come through.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
from borrowed import PROGRAMS, MissingError, Program
from program import run

from frspec.ranking.ranking import Ranking


def there(program: Program, source: str, file: Path) -> tuple[bool, str]:
    """Whether the program finds the ids in what frspec writes, and what that does not keep."""
    words = [] if program.format == "token-freq" else ["--size", str(len(program.ids))]
    words += ["--vocab-size", str(program.size)] if program.format in ("t2d", "eagle3") else []
    said = run("convert", source, "-o", file, "--to", program.format, *words).said
    return program.finds(file), said.strip().partition("does not keep: ")[2]


def back(program: Program, file: Path) -> bool:
    """Whether frspec finds the ids in what the program writes."""
    program.write(file)
    made = file.with_name("back.json")
    run("convert", file, "--from", program.format, "-o", made)
    found: list[int] = json.loads(made.read_text())
    return found[: len(program.ids)] == (list(program.ids) if program.ordered else sorted(program.ids))


@click.command()
@click.argument("source", metavar="RANKING")
@click.option("--size", "n", default=1024, show_default=True, help="How many ids.")
def main(source: str, n: int) -> None:
    """Write and read each format, both ways."""
    ranking = Ranking.load(source)
    results = dict[str, str]()
    print("| format | their code | there | back | lost |\n| --- | --- | --- | --- | --- |")
    for kind in PROGRAMS:
        program = kind(ranking.prefix(n).tolist(), len(ranking))
        with tempfile.TemporaryDirectory() as folder:
            try:
                ours, lost = there(program, source, Path(folder, program.file))
                theirs = back(program, Path(folder, f"theirs-{program.file}"))
                cells = ["same ids" if same else "OTHER IDS" for same in (ours, theirs)]
            except MissingError as error:
                cells, lost = [str(error), ""], ""
        results[program.format] = ", ".join(filter(None, cells))
        print(f"| `{program.format}` | {program.code} | {' | '.join(cells)} | {lost} |", flush=True)
    print(json.dumps({"ids": n, "vocabulary": len(ranking), **results}))
    sys.exit(any("OTHER IDS" in result for result in results.values()))


if __name__ == "__main__":
    main()
