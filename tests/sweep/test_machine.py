"""Problems of the machine that `exeunt doctor` reports, and the CPUs and the memory that a sweep may use."""

import os
import shutil
import socket
from types import SimpleNamespace

import pytest
from exeunt.specs import SpecError
from exeunt.sweep import machine
from exeunt.sweep.execution.cluster import _embedded_ray

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR", "TORCH_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_temporary_directory_is_named_with_the_fix(variable, tmp_path, monkeypatch):
    assert machine.long_socket_path() is None
    place = str(tmp_path / ("ü" * 30))
    monkeypatch.setenv(variable, place)
    problem = machine.long_socket_path()
    assert problem is not None
    assert problem.is_fatal
    assert problem.what.startswith(f"{variable} is {place}, so the paths of Ray's sockets have ")
    with pytest.raises(SpecError, match=rf"{variable} is .* set a short directory: export RAY_TMPDIR=/tmp$"):
        _embedded_ray(1, print, preload=False).__enter__()


def test_the_longest_path_is_107_bytes(monkeypatch):
    below = len("/ray/" + machine.SESSION.format(pid=os.getpid()))
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (106 - below))
    assert machine.long_socket_path() is None
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (107 - below))
    assert machine.long_socket_path() is not None


def test_little_space_is_a_problem(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**26))
    assert machine.shared_memory(tmp_path).what == f"{tmp_path} has 0.06 GiB free, so Ray keeps its objects on the disk"
    assert machine.temporary_directory().what == "Ray writes to /tmp, which has 0.1 GiB free"
    assert machine.shared_memory(tmp_path / "none") is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
    assert (machine.shared_memory(tmp_path), machine.temporary_directory()) == (None, None)


def test_another_ray_is_recognised_by_its_processes(tmp_path):
    for number, name in ((7, "bash"), (30, "raylet"), (12, "gcs_server")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
    assert "(process 12)" in machine.other_ray(tmp_path).what
    for number in (12, 30):
        (tmp_path / str(number) / "comm").unlink()
    assert machine.other_ray(tmp_path) is None


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({}, None),
        ({"no_proxy": "x"}, None),
        ({"http_proxy": "http://p:1"}, "127.0.0.1 and localhost"),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "localhost,example.org"}, "127.0.0.1"),
        ({"all_proxy": "http://p:1", "NO_PROXY": "127.0.0.1,localhost"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "*"}, None),
    ],
)
def test_a_proxy_must_not_serve_this_machine(environment, missing, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    problem = machine.proxies()
    assert (problem is None) == (missing is None)
    if problem is not None:
        assert f"no_proxy lacks {missing}:" in problem.what
        assert "http://p" not in problem.what + problem.remedy


def test_a_host_name_without_an_address(monkeypatch):
    assert machine.host_name() is None or machine.host_name().subject == "host"
    monkeypatch.setattr(socket, "gethostname", lambda: "no-such-host.invalid")
    assert machine.host_name().remedy == "add the line `127.0.1.1 no-such-host.invalid` to /etc/hosts"


def test_a_home_that_is_not_writable(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert machine.home() is None
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert machine.home().remedy == "choose another directory: export XDG_CACHE_HOME=DIR"


def test_a_storage_of_another_user(monkeypatch, tmp_path):
    assert machine.owner_problem(tmp_path) == ""
    assert machine.owner_problem(tmp_path / "none") == ""
    monkeypatch.setattr(os, "geteuid", lambda: 987654)
    assert machine.owner_problem(tmp_path).endswith(", not to user 987654")


GROUPS = {
    "version 2": ("0::/job\n", {"job/cpu.max": "150000 100000", "cpu.max": "max 100000", "job/memory.max": "1048576"}),
    "version 2, limit of a parent": ("0::/a/b\n", {"a/cpu.max": "100000 100000", "a/memory.max": "1048576"}),
    "version 1": (
        "4:cpu,cpuacct:/job\n3:memory:/job\n",
        {
            "cpu/job/cpu.cfs_quota_us": "100000",
            "cpu/job/cpu.cfs_period_us": "100000",
            "memory/job/memory.limit_in_bytes": "1048576",
        },
    ),
    "less than one CPU": ("0::/\n", {"cpu.max": "20000 100000", "memory.max": "1048576"}),
}


@pytest.mark.parametrize("case", GROUPS)
def test_a_control_group_limits_cpus_and_memory(case, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8))
    own, files = GROUPS[case]
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert machine.usable_cpus(tmp_path, tmp_path / "own") == 1
    assert machine.usable_memory(tmp_path, tmp_path / "own") == 2**20


def test_without_a_limit_all_cpus_of_the_process_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3))
    assert machine.usable_cpus(tmp_path, tmp_path / "none") == 3
