"""The recipe that measures reading: what it says it read is what is there."""

import json
import lzma
import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parents[2] / "recipes" / "ranking" / "reading.py"


def test_all_of_every_file_is_read(tmp_path: Path) -> None:
    content = b"".join(json.dumps({"text": f"line {n} " * 9}).encode() + b"\n" for n in range(20_000))
    for name, part in (("a", content), ("b", content[: len(content) // 2].rpartition(b"\n")[0])):
        (tmp_path / f"{name}.jsonl.xz").write_bytes(lzma.compress(part, preset=0))
    files = sorted(map(str, tmp_path.iterdir()))
    line = [sys.executable, str(RECIPE), *files, "--repeat", "1"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    found = json.loads(last)
    assert [line.partition(":")[0] for line in lines] == ["a.jsonl.xz", "b.jsonl.xz"]
    assert found["bytes"] == sum(len(lzma.decompress(Path(file).read_bytes())) for file in files)
    assert min(found[f"{name}_mb_s"] for name in ("unpacked", "blocks", "documents")) > 0
