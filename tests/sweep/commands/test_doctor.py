import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from exeunt.store.trial_store import Store
from exeunt.sweep import doctor as examination
from exeunt.sweep.execution.ports import answers
from mlflow import MlflowClient

from ...fake_cuda import fake_cuda

NOBODY = "127.0.0.1:9"
"""Address without a listener: a privileged port of the unused discard protocol."""


@pytest.fixture
def doctor(run, tmp_path, monkeypatch):
    """Run the command in this process; return exit status, findings as (verdict, subject, rest), and messages."""
    for name in ("EXEUNT_DATA", "EXEUNT_TRACKING", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")  # `run` restores the other variables
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def findings_of(*words, columns=400):
        monkeypatch.setenv("COLUMNS", str(columns))
        given = () if "--storage" in words else ("--storage", tmp_path / "runs")
        status, out, err = run("doctor", *words, *given)
        lines = [line.rstrip() for line in out.splitlines()]
        assert all(len(line) <= columns for line in lines)
        findings = re.findall(r"^(ok|advice|wrong) +(\S+) +(.*(?:\n {21}.*)*)", "\n".join(lines), re.MULTILINE)
        return status, [(verdict, subject, " ".join(rest.split())) for verdict, subject, rest in findings], err

    return findings_of


@pytest.fixture
def read_only(tmp_path, database) -> Iterator[Path]:
    """Read-only storage: by its permissions, or for root, which ignores these, by its mount."""
    path = tmp_path / "read-only"
    path.mkdir()
    if os.geteuid() != 0:
        shutil.copy(database, path)
        (path / database.name).chmod(0o444)
        path.chmod(0o555)
        yield path
        return
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    shutil.copy(database, path)
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.slow
def test_all_is_well(doctor, tmp_path, database):
    (tmp_path / "runs").mkdir()
    shutil.copy(database, tmp_path / "runs")
    status, findings, _ = doctor("--data", tmp_path)
    subjects = {subject: (verdict, rest) for verdict, subject, rest in findings}
    assert "wrong" not in {verdict for verdict, _, _ in findings}
    assert status == 0
    assert {"Python", "exeunt", *examination.PACKAGES, "storage", "MLflow", "Ray", "data"} < subjects.keys()
    assert subjects["exeunt"][1].startswith("0.1.0")
    assert subjects["MLflow"] == ("ok", f"sqlite:///{tmp_path}/runs/mlflow.db, writable")
    assert subjects["storage"][1].startswith(f"{tmp_path}/runs, ")
    assert "; found: digits; not found: cifar10, cifar100, " in subjects["data"][1]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mlflow.db", "runs"], "the command left a file"
    (experiment,) = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").search_experiments()
    assert examination.PROBE not in experiment.tags


@pytest.mark.slow
def test_everything_that_is_wrong_is_said_at_once(doctor, tmp_path, read_only):
    status, findings, _ = doctor(
        "--storage", read_only, "--tracking", f"http://{NOBODY}", "--address", NOBODY, "--data", tmp_path / "nowhere",
    )  # fmt: skip
    wrong = {subject: rest for verdict, subject, rest in findings if verdict == "wrong"}
    assert status == 1
    assert wrong.keys() == {"storage", "MLflow", "Ray", "data"}
    assert re.search(r"cannot be written: (Read-only file system|Permission denied)\. -> choose a ", wrong["storage"])
    assert f"no server listens at http://{NOBODY} -> start it" in wrong["MLflow"]
    assert f"{NOBODY}: no Ray process listens there." in wrong["Ray"]
    assert f"directory {tmp_path}/nowhere does not exist -> choose" in wrong["data"]


@pytest.mark.slow
def test_it_fits_into_80_columns(doctor, tmp_path):
    assert doctor("--address", NOBODY, "--data", tmp_path, columns=80)[0] == 1


def test_a_storage_that_is_not_there_is_not_made(tmp_path):
    finding = examination.storage(Store(tmp_path / "a" / "b"))
    assert "does not exist yet, can be created" in finding.what
    assert list(tmp_path.iterdir()) == []


def test_a_storage_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert examination.storage(Store(tmp_path / "file" / "runs")).verdict == "wrong"


def test_a_storage_in_memory_is_advised_against():
    memory = Path("/dev/shm")
    if examination._file_system(memory) != "tmpfs":
        pytest.skip("this machine has no tmpfs")
    finding = examination.storage(Store(memory / "exeunt"))
    assert finding.verdict == "advice"
    assert "in memory" in finding.what


@pytest.mark.slow
def test_a_database_that_cannot_be_written(read_only):
    finding = examination.mlflow(f"sqlite:///{read_only}/mlflow.db")
    assert finding.verdict == "wrong"
    assert "readonly database" in finding.what
    assert examination.mlflow(f"sqlite:///{read_only}/another.db").verdict == "wrong"


def test_a_database_that_is_none(tmp_path):
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database")
    assert "is not an SQLite database" in examination.mlflow(f"sqlite:///{damaged}").what


@pytest.mark.slow
def test_a_server_that_is_no_mlflow_or_says_nothing(monkeypatch, silent):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = time.monotonic()
    finding = examination.mlflow(silent)
    assert time.monotonic() - started < 10
    assert finding.verdict == "wrong"
    assert finding.what == f"MLflow at {silent}: no answer in time."


def test_a_cluster_that_takes_jobs_has_to_listen():
    for address in (f"http://{NOBODY}", f"ray://{NOBODY}"):
        assert examination.ray(address).what == f"no process listens at {address}"


def test_what_listens_where(silent):
    assert answers(silent)
    assert answers(silent.removeprefix("http://"))
    assert not answers(NOBODY)
    assert not answers(f"postgresql+psycopg://user@{NOBODY}/name")
    assert not answers("http://127.0.0.1:port")


def test_a_damaged_data_set_is_told_from_one_that_is_absent(tmp_path):
    for name in ("train_32x32.mat", "test_32x32.mat"):
        (tmp_path / name).touch()
    wrong, rest = examination.datasets(tmp_path)
    assert (wrong.verdict, rest.verdict) == ("wrong", "ok")
    assert wrong.what.startswith("svhn: ")
    assert "is damaged" in wrong.what
    assert "; found: digits; not found: cifar10, " in rest.what
    assert "svhn" not in rest.what


@pytest.fixture
def mps(tmp_path):
    """Function that returns the finding with these processes and with or without the pipe of a control daemon."""

    def finding(*names, pipe=False):
        (tmp_path / "pipes").mkdir()
        if pipe:
            (tmp_path / "pipes" / "control").touch()
        for number, name in enumerate(names, start=1):
            (tmp_path / "proc" / str(number)).mkdir(parents=True)
            (tmp_path / "proc" / str(number) / "comm").write_text(f"{name}\n")
        (tmp_path / "proc" / "99").mkdir(parents=True)  # a process that has just ended
        (tmp_path / "proc" / "99" / "comm").symlink_to("nowhere")
        return examination.mps(tmp_path / "pipes", tmp_path / "proc")

    return finding


def test_the_multi_process_service_is_recognised_by_its_process(mps):
    assert mps("bash", "nvidia-cuda-mps").verdict == "ok"


def test_the_multi_process_service_is_recommended_where_it_does_not_run(mps):
    finding = mps("bash", "nvidia-persiste")
    assert finding.verdict == "advice"
    assert finding.what.startswith("not running; ")
    assert finding.remedy.endswith("`nvidia-cuda-mps-control -d`")


def test_a_pipe_without_its_process_is_reported(mps):
    finding = mps("bash", pipe=True)
    assert finding.verdict == "advice"
    assert "no such process is visible" in finding.what


def test_a_machine_with_a_gpu_has_a_line_about_the_multi_process_service(monkeypatch, tmp_path):
    facts = SimpleNamespace(name="a GPU", total_memory=2**37, major=9, minor=0)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    with fake_cuda():
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: facts)
        gpu, service = examination.devices()
    assert gpu.what == "a GPU, 128.0 GiB, compute capability 9.0, precision: auto is bf16"
    assert service.subject == "MPS"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [finding.subject for finding in examination.devices()] == ["CPU"]


OTHER_VERSION = """
import importlib.metadata, sys
from exeunt.sweep import doctor as examination
real = importlib.metadata.version
importlib.metadata.version = lambda name: "0.1" if name == "pandas" else real(name)
sys.modules["torchvision"] = None  # importing it raises ImportError
for finding in examination.versions():
    if finding.verdict == "wrong":
        print(finding.subject, finding.what, finding.remedy, sep="; ")
assert "torch" in sys.modules
"""


@pytest.mark.slow
def test_versions_that_do_not_fit_and_packages_that_cannot_be_imported():
    ran = subprocess.run([sys.executable, "-c", OTHER_VERSION], capture_output=True, text=True, check=True)
    torchvision, pandas = ran.stdout.splitlines()
    assert re.match(r"torchvision; \S+ cannot be imported: .*; install Exeunt into a new virtual", torchvision)
    assert re.match(r"pandas; 0\.1 is installed, but Exeunt requires >=\d\S*; pip install 'pandas>=\d", pandas)


def test_a_mistyped_option_is_no_finding(doctor):
    assert doctor("--tracking", "ftp://somewhere")[0] == 2
