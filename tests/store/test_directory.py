import os
import pickle
import subprocess
import sys

import pytest
from exeunt.store import Directory, LocalDirectory, StorageError


class RefusedError(Exception):
    pass


@pytest.fixture
def folder(tmp_path) -> Directory:
    return LocalDirectory(tmp_path / "new")


def test_files_are_written_listed_renamed_and_removed(folder):
    assert folder.entries() == {}
    assert folder.read("a") is None
    folder.write("b", b"two")
    folder.write("a", memoryview(b"one"))
    folder.write("b", b"three")
    assert {name: entry.size for name, entry in folder.entries().items()} == {"a": 3, "b": 5}
    assert list(folder.entries()) == ["a", "b"]
    folder.rename("a", "c")
    assert folder.read("c") == b"one"
    with folder.local("c") as path:
        assert path.read_bytes() == b"one"
    folder.remove("c")
    folder.remove("never there")
    assert list(folder.entries()) == ["b"]
    folder.inside("x", "y").write("z", b"")
    assert folder.subdirectories() == ["x"]
    assert list(folder.entries()) == ["b"]


def test_where_it_may_not_write_the_error_says_so_and_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written: Not a directory"):
        LocalDirectory(tmp_path / "file" / "folder").write("a", b"")
    with pytest.raises(StorageError, match="cannot be written: File name too long"):
        LocalDirectory(tmp_path).write("a" * 255, b"")
    (tmp_path / "taken").mkdir()
    with pytest.raises(StorageError, match="taken cannot be written: Is a directory"):
        LocalDirectory(tmp_path).write("taken", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]


def test_a_guard_is_asked_last_and_keeps_everything_as_it_is(folder):
    def refuse():
        raise RefusedError

    folder.write("a", b"old")
    guarded = folder.guarded(refuse)
    for change in (
        lambda: guarded.write("a", b"new"),
        lambda: guarded.remove("a"),
        lambda: guarded.rename("a", "b"),
    ):
        with pytest.raises(RefusedError):
            change()
    assert folder.read("a") == b"old"
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "a"]


CLAIM = """
import sys, time
from pathlib import Path
from exeunt.store import LocalDirectory
folder = LocalDirectory(Path(sys.argv[1]))
class Taken(Exception): pass
claimed = 0
for number in range(200):
    def free():
        if f"{number:03d}" in folder.entries():
            raise Taken
        time.sleep(0.001)  # time for the other process to write, if the lock fails
    try:
        folder.guarded(free).write(f"{number:03d}", sys.argv[2].encode())
        claimed += 1
    except Taken:
        pass
print(claimed)
"""


@pytest.mark.slow
def test_of_two_processes_that_claim_a_name_one_gets_it(tmp_path):
    claimers = [
        subprocess.Popen([sys.executable, "-c", CLAIM, tmp_path, name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    counts = [int(claimer.communicate(timeout=60)[0]) for claimer in claimers]
    assert sum(counts) == 200


def test_it_travels_to_other_processes_with_its_guard(folder):
    twin = pickle.loads(pickle.dumps(folder.guarded(print)))
    assert twin.path == folder.path
    assert twin._guard is print


@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_file_that_another_process_removes_while_it_is_listed_is_left_out(folder, monkeypatch, gone):
    for name in ("a", "b", "c"):
        folder.write(name, b"1")

    def listed(path):
        items = list(scandir(path))
        folder.path.joinpath(gone).unlink()
        return items

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", listed)
    assert [*folder.entries()] == [name for name in ("a", "b", "c") if name != gone]


def test_a_directory_that_another_process_removes_while_it_is_listed_is_empty(folder, monkeypatch):
    def removed(path):
        raise FileNotFoundError(path)

    folder.write("a", b"1")
    monkeypatch.setattr(os, "scandir", removed)
    assert folder.entries() == {}
    assert folder.subdirectories() == []
