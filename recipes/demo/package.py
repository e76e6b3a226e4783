"""Puts the trained target, its head and its ranking into the package as the model ``demo``.

python recipes/demo/package.py TARGET HEAD RANKING --samples SAMPLES.json --bench BENCH.json [--bench ...]

Checks that the parts belong together, copies them, and writes the model card and the list of hashes beside them, all at
once or not at all. SAMPLES.json is what sample.py wrote, BENCH.json what ``frspec bench --output`` did.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from card import write_card

from frspec import shipped
from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.models import load_decoder, load_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.folders import read_json
from frspec.text.tokenizer import Tokenizer

LIMIT = 80_000_000
"""Bytes of the whole folder."""
TARGET_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
HEAD_FILES = ("config.json", "model.safetensors")


def check_parts(target: Path, head: Path, ranking: Ranking, samples: Mapping[str, Any]) -> None:
    """Refuse a head, ranking or samples of another model.

    Raises:
        UserError: naming what does not fit.
    """
    decoder, tokenizer = load_decoder(target), Tokenizer.load(target)
    load_eagle(head, decoder)
    if ranking.counts is None:
        raise UserError("the ranking is an id list; give one with counts, made with `frspec rank`")
    ranking.check_fingerprint(tokenizer.fingerprint)
    if not len(ranking) == tokenizer.vocab_size == decoder.config.vocab_size:
        raise UserError(
            f"the ranking has {len(ranking)} ids, the tokenizer {tokenizer.vocab_size} and the target "
            f"{decoder.config.vocab_size}; they must have the same"
        )
    if samples.get("model_sha256") != shipped.sha256(target / "model.safetensors"):
        raise UserError("the samples are of other weights; write them again with sample.py")


def portable(facts: Any) -> Any:
    """Provenance without this machine's folders: of absolute paths the last part is kept, in command lines too."""
    if isinstance(facts, Mapping):
        return {key: _command(value) if key == "command" else portable(value) for key, value in facts.items()}
    if isinstance(facts, list):
        return [portable(value) for value in facts]
    return Path(facts).name if isinstance(facts, str) and facts.startswith("/") else facts


def _command(line: str | None) -> str | None:
    return None if line is None else shlex.join(portable(word) for word in shlex.split(line))


def copy_parts(target: Path, head: Path, ranking: Ranking, place: Path) -> None:
    """The three parts under their shipped names."""
    for part, folder, names in ((shipped.TARGET, target, TARGET_FILES), (shipped.HEAD, head, HEAD_FILES)):
        (place / part).mkdir()
        for name in names:
            shutil.copyfile(folder / name, place / part / name)
    about = {**portable(read_json(head / "frspec.json")), "model": shipped.NAME}
    (place / shipped.HEAD / "frspec.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    origin = {**portable(dict(ranking.provenance)), "tokenizer": shipped.NAME}
    Ranking(ranking.ids, ranking.counts, ranking.fingerprint, origin).save(place / shipped.RANKING)


def finish(place: Path) -> int:
    """Hash everything, make it readable for all, and return its bytes."""
    files = sorted(file for file in place.rglob("*") if file.is_file())
    sums = "".join(f"{shipped.sha256(file)}  {file.relative_to(place).as_posix()}\n" for file in files)
    (place / shipped.SUMS).write_text(sums, encoding="utf-8")
    for file in (*files, place / shipped.SUMS):
        file.chmod(0o644)
    return sum(file.stat().st_size for file in files) + len(sums)


@click.command()
@click.argument("target", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("head", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("ranking", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--samples", type=click.Path(exists=True, path_type=Path), required=True, help="From sample.py.")
@click.option("--bench", "benches", type=click.Path(exists=True, path_type=Path), multiple=True, required=True,
              help="From frspec bench --output; may be repeated.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), default=shipped.FOLDER, help="By default inside frspec.")
def main(target: Path, head: Path, ranking: Path, samples: Path, benches: Sequence[Path], output: Path) -> None:
    """Ship TARGET, HEAD and RANKING."""
    try:
        counted, written = Ranking.load(ranking), read_json(samples)
        check_parts(target, head, counted, written)
        with atomic_path(output, folder=True) as place:
            copy_parts(target, head, counted, place)
            write_card(place, read_json(target / "provenance.json"), written, [read_json(bench) for bench in benches])
            size = finish(place)
            if size > LIMIT:
                raise UserError(
                    f"{size:,} bytes are more than the {LIMIT:,} that may be shipped; train a smaller model"
                )
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
