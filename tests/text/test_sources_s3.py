"""Files on S3, by s3fs, as moto's server gives them: `pip install s3fs "moto[server]"` where this is to run."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frspec.errors import UserError
from frspec.text.reading import find_sources
from frspec.text.sources import read_documents

LINES = b"".join(json.dumps({"text": f"line {n}"}).encode() + b"\n" for n in range(50_000))
FILES = {"b.txt": b"b", "a/lines.jsonl": LINES, "a/lines.jsonl.gz": gzip.compress(LINES), "ä b/ü.md": "größe".encode()}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``put_object`` of a bucket called corpus."""
    pytest.importorskip("s3fs")
    moto, boto = pytest.importorskip("moto.server"), pytest.importorskip("boto3")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {"ENDPOINT_URL": f"http://{host}:{port}", "DEFAULT_REGION": "us-east-1"}
        for name, value in (settings | {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any"}).items():
            monkeypatch.setenv(f"AWS_{name}", value)
        client = boto.client("s3")
        client.create_bucket(Bucket="corpus")
        yield lambda key, body: client.put_object(Bucket="corpus", Key=key, Body=body)
    finally:
        server.stop()


def test_like_local_files(bucket: Any, tmp_path: Path) -> None:
    for name, content in FILES.items():
        bucket(name, content)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for source in ("", "/a", "/a/*.gz", "/ä b/ü.md", "/b.txt"):
        here, there = read_documents(f"{tmp_path}{source}"), read_documents(f"s3://corpus{source}")
        assert there.size == here.size
        assert [document.text for document in there] == [document.text for document in here]
    stamps = [file.stamp for file in find_sources(["s3://corpus/b.txt"]).files]
    bucket("b.txt", b"c")
    assert [file.stamp for file in find_sources(["s3://corpus/b.txt"]).files] != stamps, "of the same length"
    for nothing in ("s3://corpus/no.txt", "s3://nobucket/b.txt"):
        with pytest.raises(UserError, match=f"nothing is called {nothing}"):
            find_sources([nothing])
