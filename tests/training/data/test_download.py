import hashlib
import io
import multiprocessing
import os
import signal
import tarfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from exeunt.specs import SpecError
from exeunt.training.data import DataSource
from exeunt.training.data.download import Download, provide

FILE = b"numbers" * 1000
PARTS = {"set/train": b"train" * 1000, "set/test": b"test" * 1000}


def md5(content):
    return hashlib.md5(content).hexdigest()


def archive(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


SERVED = {"/set.tar.gz": archive(PARTS | {"set/extra": b"not needed"}), "/file.gz": FILE}
FILES = {name: md5(content) for name, content in PARTS.items()} | {"raw/file.gz": md5(FILE)}


class Server(ThreadingHTTPServer):
    """Slow server of SERVED on the loopback interface, which counts requests."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.gets = Counter()
        self.seconds = 0.3

    def handle_error(self, *arguments):
        """Ignore errors, since tests kill clients."""

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.gets[self.path] += 1
        if content := self._start():
            self.wfile.write(content[:100])
            self.wfile.flush()
            time.sleep(self.server.seconds)
            self.wfile.write(content[100:])

    def _start(self):
        content = SERVED.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        return content

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def downloads(server):
    return [
        Download(urls=(server.url("/set.tar.gz"),), md5=md5(SERVED["/set.tar.gz"])),
        Download(urls=(server.url("/absent/file.gz"), server.url("/file.gz")), md5=md5(FILE), folder="raw"),
    ]


def get(directory, downloads, download=True):
    return provide("letters", DataSource(directory=directory, download=download), files=FILES, downloads=downloads)


def getting(directory, downloads):
    """Start a spawned process; a killed fork could keep tqdm's lock, which it would share with this process."""
    words, more = ("letters", DataSource(directory=directory, download=True)), {"files": FILES, "downloads": downloads}
    process = multiprocessing.get_context("spawn").Process(target=provide, args=words, kwargs=more)
    process.start()
    return process


@pytest.mark.slow
def test_of_two_processes_one_fetches_what_is_absent(tmp_path, server, downloads):
    get(tmp_path / "alone", downloads)
    alone = Counter(server.gets)
    server.seconds = 2  # so that the downloads overlap
    processes = [getting(tmp_path / "data", downloads) for _ in range(2)]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert alone == server.gets - alone
    assert get(tmp_path / "data", downloads, download=False) == tmp_path / "data"
    found = {str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert found == {*FILES, ".lock"}


@pytest.mark.slow
def test_what_a_killed_process_left_half_done_is_fetched_again(tmp_path, server, downloads):
    server.seconds = 30
    process = getting(tmp_path, downloads)
    deadline = time.monotonic() + 120
    while not (tmp_path / ".fetching" / "set.tar.gz").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (tmp_path / ".fetching").exists()
    server.seconds = 0
    get(tmp_path, downloads)
    assert (tmp_path / "set/test").read_bytes() == PARTS["set/test"]
    assert not (tmp_path / ".fetching").exists()


@pytest.mark.slow
def test_what_is_there_is_not_fetched_and_needs_no_writable_folder(tmp_path, server, downloads):
    get(tmp_path, downloads)
    before = Counter(server.gets)
    (tmp_path / ".lock").unlink()
    get(tmp_path, downloads)
    assert server.gets == before
    assert not (tmp_path / ".lock").exists()


def test_nothing_is_fetched_unasked(tmp_path, server, downloads):
    with pytest.raises(SpecError) as caught:
        get(tmp_path, downloads, download=False)
    assert str(caught.value) == (
        f"letters is missing from {tmp_path}: set/train not found. Set another data directory with --data DIR "
        "or EXEUNT_DATA, or add --download."
    )
    assert caught.value.field == "dataset"
    assert not server.gets
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("download", [False, True])
def test_a_data_folder_has_to_be_named(downloads, download):
    with pytest.raises(SpecError, match=r"letters needs a data directory; set it with .*--data.*--download"):
        get(None, downloads, download)


def test_what_nobody_may_fetch_says_so(tmp_path):
    with pytest.raises(
        SpecError, match="or request the dataset from its authors, whose terms forbid a download"
    ) as caught:
        get(tmp_path, [])
    assert "--download" not in str(caught.value)


@pytest.mark.slow
def test_a_damaged_file_is_named(tmp_path, downloads):
    get(tmp_path, downloads)
    (tmp_path / "set/test").write_bytes(b"tost" * 1000)
    with pytest.raises(
        SpecError, match=rf"{tmp_path}/set/test of letters is damaged: its MD5 checksum is \w+, not \w+\."
    ):
        get(tmp_path, downloads)


def test_what_comes_damaged_is_not_kept(tmp_path, server):
    wrong = [Download(urls=(server.url("/file.gz"),), md5=md5(b"another"), folder="raw")]
    with pytest.raises(SpecError, match=r"letters cannot be downloaded from http.*/file\.gz \("):
        get(tmp_path, wrong)
    assert not (tmp_path / "raw").exists()
    assert not list((tmp_path / ".fetching").rglob("*.gz"))


def test_an_address_that_has_nothing_is_named(tmp_path, server):
    with pytest.raises(SpecError, match=r"letters cannot be downloaded from http.*/nothing\.gz \(HTTP Error 404"):
        get(tmp_path, [Download(urls=(server.url("/nothing.gz"),), md5=md5(FILE))])
