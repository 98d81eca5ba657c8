import json
import subprocess
import sys
import time

import pytest
from exeunt.store import DamagedFileError, LocalDirectory, liveness
from exeunt.store.lease import FILE, SweepLockedError, hold_lease, lease_owner

HOLD = """
import sys, time
from pathlib import Path
from exeunt.store.lease import hold_lease
from exeunt.store import LocalDirectory
with hold_lease(LocalDirectory(Path(sys.argv[1])), "s"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    return LocalDirectory(tmp_path)


@pytest.fixture
def other(tmp_path):
    """Start another process that runs the sweep."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_driver_is_told_who_holds_the_sweep(folder, other):
    with pytest.raises(SweepLockedError, match=rf"'s' is being run by process {other.pid} on \S+ since 20\d\d-"):
        hold_lease(folder, "s").__enter__()
    assert lease_owner(folder)["pid"] == other.pid


def test_of_two_drivers_that_begin_at_once_one_is_refused(folder, other, monkeypatch):
    """The other process starts between the check and the write of this one."""
    theirs, guarded = folder.read(FILE), LocalDirectory.guarded

    def guarded_after_the_other(place, guard):
        place.write(FILE, theirs)
        return guarded(place, guard)

    folder.remove(FILE)
    monkeypatch.setattr(LocalDirectory, "guarded", guarded_after_the_other)
    with pytest.raises(SweepLockedError, match=f"process {other.pid}"):
        hold_lease(folder, "s").__enter__()
    assert folder.read(FILE) == theirs


def test_a_driver_that_was_killed_holds_nothing(folder, other):
    other.kill()
    deadline = time.monotonic() + 10
    while lease_owner(folder):  # it is a zombie until its parent waits for it
        assert time.monotonic() < deadline
    with hold_lease(folder, "s"):
        assert lease_owner(folder)["pid"] != other.pid
    assert folder.read(FILE) is None


def test_a_later_process_with_its_number_is_not_it(folder, other):
    holder = json.loads(folder.read(FILE))
    other.kill()
    other.wait()
    folder.write(FILE, json.dumps(holder | {"pid": 1}).encode())
    assert lease_owner(folder) is None


@pytest.mark.slow
@pytest.mark.usefixtures("other")
def test_a_driver_elsewhere_is_alive_while_it_is_heard_of(folder, monkeypatch):
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.2)
    elsewhere = json.loads(folder.read(FILE)) | {"host": "elsewhere", "token": "theirs"}
    folder.write(FILE, json.dumps(elsewhere | {"seen": time.time() - 30}).encode())
    with pytest.raises(SweepLockedError, match="on elsewhere"):
        hold_lease(folder, "s").__enter__()
    folder.write(FILE, json.dumps(elsewhere | {"seen": time.time() - 300}).encode())
    with hold_lease(folder, "s"):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("other")
def test_a_driver_elsewhere_with_a_wrong_clock_is_heard_of(folder, monkeypatch):
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.6)
    elsewhere = json.loads(folder.read(FILE)) | {"host": "elsewhere", "token": "theirs"}
    for hour in (-3600, 3600):
        script = (
            "import json, sys, time; from pathlib import Path; path = Path(sys.argv[1])\n"
            "for beat in range(600):\n"
            f"    path.write_text(json.dumps({elsewhere!r} | {{'seen': time.time() + {hour} + beat}})); time.sleep(0.2)"
        )
        folder.write(FILE, before := json.dumps(elsewhere | {"seen": time.time() + hour}).encode())
        beating = subprocess.Popen([sys.executable, "-c", script, folder.path / FILE])
        try:
            while folder.read(FILE) in (before, b""):  # it starts, or writes
                time.sleep(0.05)
            with pytest.raises(SweepLockedError):
                hold_lease(folder, "s").__enter__()
        finally:
            beating.kill()
            beating.wait()


def test_the_driver_gives_signs_of_life(folder, monkeypatch):
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.05)
    with hold_lease(folder, "s"):
        first = json.loads(folder.read(FILE))["seen"]
        deadline = time.monotonic() + 10
        while json.loads(folder.read(FILE))["seen"] == first:
            assert time.monotonic() < deadline
    assert folder.read(FILE) is None


def test_a_damaged_file_is_named_with_its_remedy_and_stays(folder):
    folder.write(FILE, b'{"host": ')
    with pytest.raises(DamagedFileError) as damage:
        hold_lease(folder, "s").__enter__()
    assert str(damage.value).startswith(f"{folder.path / FILE} is damaged")
    assert str(damage.value).endswith("If no process runs the sweep, remove the file.")
    assert folder.read(FILE) == b'{"host": '
    folder.remove(FILE)
    with hold_lease(folder, "s"):
        assert lease_owner(folder) is not None


def test_a_driver_whose_file_was_damaged_ends_without_an_error(folder, monkeypatch):
    monkeypatch.setattr(liveness, "HEARTBEAT_INTERVAL_S", 0.01)
    with hold_lease(folder, "s"):
        while folder.read(FILE) != b"{}":  # a sign of life may be on its way
            folder.write(FILE, b"{}")
            time.sleep(0.1)
    assert folder.read(FILE) == b"{}"
