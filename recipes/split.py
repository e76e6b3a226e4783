"""Split sources into a training part and a held-out tail, both JSON Lines with the field `text`.

    python recipes/split.py OUT_FOLDER SOURCES...

Writes OUT_FOLDER/train.jsonl (the first nine tenths of the documents) and OUT_FOLDER/heldout.jsonl (the rest).
"""

import json
import sys
from pathlib import Path

from frspec.text.sources import read_documents


def main(folder: Path, sources: list[str]) -> None:
    """Read everything once, write two files."""
    texts = [document.text for document in read_documents(sources) if document.text]
    border = len(texts) * 9 // 10
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", texts[:border]), ("heldout", texts[border:])):
        lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in part)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        print(f"{folder / name}.jsonl: {len(part)} documents", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
