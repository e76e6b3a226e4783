"""Files behind URLs: fsspec's own memory and web drivers, a web server here, and a driver that breaks."""

import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fsspec.implementations.memory import MemoryFileSystem

from frspec.errors import UserError
from frspec.ranking.job import Plan, count_sources
from frspec.text.reading import find_sources
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer
from tests.patience import PATIENCE

LINES = b"".join(json.dumps({"text": f"line {n} " + "x" * 50}).encode() + b"\n" for n in range(2000))
TEXTS = [json.loads(line)["text"] for line in LINES.splitlines()]


def texts(*sources: str, **options: object) -> list[str | None]:
    return [document.text for document in read_documents(sources, **options)]  # type: ignore[arg-type]


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


FILES = {
    "b.txt": b"b",
    "a/z.md": b"az",
    "a/lines.jsonl.gz": gzip.compress(LINES),
    "a/rows.parquet": parquet(pa.table({"text": TEXTS})),
    ".hidden/x.txt": b"no",
}


@pytest.fixture
def place() -> Iterator[str]:
    system = MemoryFileSystem()
    for name, content in FILES.items():
        system.pipe(f"/corpus/{name}", content)
    yield "memory://corpus"
    system.rm("/corpus", recursive=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    "source", ["", "/", "/b.txt", "/a", "/*.txt", "/*", "/**/*.md", "/a/[l-r]*", "/a/lines.jsonl.gz"]
)
def test_like_local_files(place: str, folder: Path, source: str) -> None:
    here, there = read_documents(f"{folder}{source}"), read_documents(f"{place}{source}")
    assert there.size == here.size
    assert [document.text for document in there] == [document.text for document in here]
    assert there.position == there.size
    assert [str(f).removeprefix("memory://").removeprefix("/corpus") for f in there.files] == [
        str(f).removeprefix(str(folder)) for f in here.files
    ]


def test_a_file_named_twice_is_read_once_and_places_mix(place: str, tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("here")
    assert texts(f"{place}/b.txt", f"{place}/*.txt", str(tmp_path / "here.txt")) == ["b", "here"]


def test_a_bad_record_names_its_url_and_line(place: str) -> None:
    MemoryFileSystem().pipe("/corpus/bad.jsonl", b'{"text": "a"}\n{"text": 1}\n')
    with pytest.raises(UserError, match=r"^memory:///corpus/bad.jsonl, line 2: field 'text' is a int"):
        texts(f"{place}/bad.jsonl")
    assert texts(f"{place}/bad.jsonl", skip_bad=True) == ["a"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://corpus/none.txt", "nothing is called memory://corpus/none.txt"),
        ("memory://corpus/*.none", "nothing is called"),
        ("wizard://a/b", "nothing drives wizard://"),
        ("s3://bucket/a.jsonl", r"the driver for s3:// is not installed; pip install s3fs"),
        ("gs://bucket/a.jsonl", r"the driver for gs:// is not installed; pip install gcsfs"),
        ("https://me:secret@host/a.jsonl", "holds a password"),
        ("http://[::1", "no URL: Invalid IPv6 URL"),
        ("http://127.0.0.1:9/a.jsonl", "http://127.0.0.1:9/a.jsonl: Cannot connect"),
    ],
)
def test_what_cannot_be_found_is_one_line(
    place: str, source: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "driver" in message:
        module = source[:2] + "fs" if source.startswith("s3") else "gcsfs"
        monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    with pytest.raises(UserError, match=message) as error:
        texts(source)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


class Breaking(MemoryFileSystem):
    """Refuses some files, breaks off in others, and says of one that it is longer than it is."""

    protocol = "breaking"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("breaking://", "memory://"))

    def info(self, path, **options):
        if "forbidden" in path:
            raise PermissionError("403 for you\nand more")
        found = super().info(path, **options)
        return found | {"size": found["size"] + 7} if "longer" in path else found

    def _open(self, path, mode="rb", **options):
        if "locked" in path:
            raise OSError("locked\nand more")
        file = io.BytesIO(super()._open(path, mode, **options).getvalue())
        read = file.read

        class Broken(io.BytesIO):
            def read(self, size=-1):
                if self.tell() > 50_000 and "breaks" in path:
                    raise ConnectionResetError("connection reset by peer\nand more")
                return super().read(size)

        return Broken(read())


@pytest.fixture
def breaking() -> Iterator[Breaking]:
    fsspec.register_implementation("breaking", Breaking, clobber=True)
    system = Breaking()
    yield system
    system.store.clear()


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.xz", ".jsonl.zst", ".parquet", ".txt"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forbidden", "access refused"),
        ("locked", "cannot be opened: locked$"),
        ("breaks", r"broke off at byte [\d,]+: connection reset by peer$"),
        ("longer", r"ended at byte [\d,]+ of [\d,]+; try again$"),
    ],
)
def test_a_place_that_breaks_is_one_line_and_never_left_out(
    breaking: Breaking, name: str, message: str, suffix: str, skip_bad: bool
) -> None:
    noise = random.Random(1)
    rows = [noise.randbytes(60).hex() for _ in range(3000)]
    lines = b"".join(json.dumps({"text": row}).encode() + b"\n" for row in rows)
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.compress}.get(
        Path("x" + suffix).suffix, bytes
    )
    content = (
        parquet(pa.table({"text": rows}))
        if suffix == ".parquet"
        else pack(b"x " + lines if suffix == ".txt" else lines)
    )
    assert len(content) > 150_000
    MemoryFileSystem().pipe(f"/{name}{suffix}", content)
    if name == "longer" and suffix == ".parquet":  # whose own end says that all of it is there
        assert texts(f"breaking://{name}{suffix}") == rows
        return
    with pytest.raises(UserError, match=message) as error:
        texts(f"breaking://{name}{suffix}", skip_bad=skip_bad)
    assert "\n" not in str(error.value)
    assert f"{name}{suffix}" in str(error.value)


class Handler(BaseHTTPRequestHandler):
    """Serves ``FILES``, with ranges unless the path says otherwise; cuts some short."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/")
        how, _, name = path.partition("/")
        if name not in FILES:
            self.send_error(403 if how == "secret" else 404)
            return
        content, asked = FILES[name], self.headers.get("Range")
        if asked and how == "ranges":
            first, last = (int(word or len(content) - 1) for word in asked.removeprefix("bytes=").split("-"))
            part = content[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
        else:
            part = content
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        if how == "ranges":
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part[: len(part) // 2] if how == "cut" else part)
        if how == "cut":
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        pass


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's interface as one data set, me/set, needs: what it is, its tree, its files."""

    protocol_version = "HTTP/1.1"
    tree = "/api/datasets/me/set/tree/main"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/datasets/me/set":
            self.answer(200, json.dumps({"id": "me/set", "sha": "2" * 40, "siblings": []}).encode())
        elif path.startswith(self.tree):
            self.answer(200, json.dumps(self.listed(path.removeprefix(self.tree).strip("/"))).encode())
        elif (name := path.removeprefix("/datasets/me/set/resolve/main/")) in FILES:
            first, last = (int(word) for word in self.headers["Range"].removeprefix("bytes=").split("-"))
            self.answer(206, FILES[name][first : last + 1])
        else:
            self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def listed(self, folder: str) -> list[dict[str, object]]:
        below = [name.removeprefix(f"{folder}/") for name in FILES if not folder or name.startswith(f"{folder}/")]
        found: list[dict[str, object]] = []
        for name in dict.fromkeys(name.partition("/")[0] for name in below):
            path = f"{folder}/{name}".strip("/")
            size = {"type": "file", "size": len(FILES[path])} if path in FILES else {"type": "directory"}
            found.append({"path": path, "oid": "1" * 40} | size)
        return found

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {"Content-Type": "application/json"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(handler: type[BaseHTTPRequestHandler] = Handler) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.parametrize("how", ["ranges", "whole"])
def test_the_web(how: str) -> None:
    with served() as host:
        documents = read_documents([f"{host}/{how}/a/lines.jsonl.gz?download=true", f"{host}/{how}/b.txt"])
        assert documents.size == len(FILES["a/lines.jsonl.gz"]) + 1
        assert [document.text for document in documents] == [*TEXTS, "b"]
        assert texts(f"{host}/{how}/a/rows.parquet") == TEXTS


def test_the_web_refuses_and_breaks_off() -> None:
    with served() as host:
        for path, message in (
            ("ranges/none.jsonl", "nothing is called"),
            ("secret/none.jsonl", "403"),
            ("cut/a/lines.jsonl.gz", "broke off at byte|ended at byte"),
        ):
            with pytest.raises(UserError, match=message) as error:
                texts(f"{host}/{path}", skip_bad=True)
            assert f"{host}/{path}" in str(error.value)
            assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=host):
        texts(f"{host}/ranges/b.txt")


def test_the_hub() -> None:
    """In a process of its own: the hub's library looks for the hub's address when it is imported."""
    code = (
        "import json, sys\nfrom frspec.errors import UserError\nfrom frspec.text.sources import read_documents\n"
        "for source in sys.argv[1:]:\n"
        "    try:\n        found = [document.text for document in read_documents(source)]\n"
        "    except UserError as error:\n        found = str(error)\n"
        "    print(json.dumps(found))\n"
    )
    names = ["a", "**/*.parquet", "b.txt", "no.txt"]
    sources = [*(f"hf://datasets/me/set/{name}" for name in names), "hf://datasets/me/none/a.txt"]
    with served(Hub) as host:
        environment = os.environ | {"HF_ENDPOINT": host, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0"}
        line = [sys.executable, "-c", code, *sources]
        done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=True)
    folder, pattern, file, nothing, nowhere = map(json.loads, done.stdout.splitlines())
    assert folder == [*TEXTS, *TEXTS, "az"]
    assert pattern == TEXTS
    assert file == ["b"]
    assert nothing == "nothing is called hf://datasets/me/set/no.txt"
    assert nowhere.startswith("hf://datasets/me/none/a.txt: no such file")
    assert "repository not found" in nowhere


def test_a_drivers_thread_and_counting_processes_get_on(folder: Path) -> None:
    tokenizer = Tokenizer.load("demo")
    with served() as host:
        there = count_sources(tokenizer, find_sources([f"{host}/ranges/a/lines.jsonl.gz"] * 2), Plan(2))
    here = count_sources(tokenizer, find_sources([folder / "a" / "lines.jsonl.gz"]), Plan(1))
    assert (there.by_id == here.by_id).all()
    assert there.tokens == here.tokens > 0
