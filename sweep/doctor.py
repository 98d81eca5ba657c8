"""Checks of all that a sweep needs, without training: versions, devices, storage, MLflow, Ray and datasets.

A package that cannot be imported is a finding, so every other package is imported inside a function.
"""

import importlib
import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..specs import SpecError, masked, sqlite_file
from .execution.mps import pipe_directory
from .execution.ports import answers
from .machine import described_limits, nearest_existing, owner_problem, problems, usable_cpus
from .terminal.counts import counted

if TYPE_CHECKING:
    from ..store import Directory, Store

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "pandas")
"""Packages whose versions are reported; other requirements are reported only if they are not met."""

GIB = 2**30
LITTLE = 5 * GIB
"""Free space in bytes that a sweep of large networks fills quickly: each running trial has two checkpoints."""

NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.sshfs", "afs", "9p")
"""Prefixes of the names of network file systems."""
MEMORY = ("tmpfs", "ramfs")

MPS_PROCESS = "nvidia-cuda-mps"
"""First 15 characters of the names of MPS processes, which is all that Linux keeps."""

PROBE = "exeunt-doctor"
"""Name of the file and of the MLflow tag that are written to test write access."""

Verdict = Literal["ok", "advice", "wrong"]


@dataclass(frozen=True)
class Finding:
    """Result of a check of one subject; `remedy` is the fix, empty if none is needed or `what` names it."""

    verdict: Verdict
    subject: str
    what: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Check that Python and all required packages are installed in supported versions."""
    from packaging.requirements import Requirement

    yield Finding("ok", "Python", platform.python_version())
    try:
        required = [Requirement(line) for line in importlib.metadata.requires("exeunt") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("wrong", "exeunt", "not installed as a package", "install it and its dependencies with pip")
        return
    for requirement in required:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        remedy, version = f"pip install '{requirement}'", ""
        try:
            version = importlib.metadata.version(requirement.name)
            if not requirement.specifier.contains(version, prereleases=True):
                what = f"{version} is installed, but Exeunt requires {requirement.specifier}"
                yield Finding("wrong", requirement.name, what, remedy)
            elif requirement.name in PACKAGES:
                importlib.import_module(requirement.name)
                yield Finding("ok", requirement.name, version)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("wrong", requirement.name, "not installed", remedy)
        except Exception as error:  # mismatched compiled extensions raise arbitrary exceptions
            what = f"{version} cannot be imported: {_first_line(error)}"
            yield Finding("wrong", requirement.name, what, "install Exeunt into a new virtual environment")


def surroundings(store: "Store", tracking_uri: str, address: str | None, data: Path | None) -> Iterator[Finding]:
    """Check everything except the versions; this imports the required packages.

    Args:
        store: trial store that `--storage` names.
        tracking_uri: URI of MLflow's server or database.
        address: address of a Ray cluster or of its dashboard; None if a sweep starts a local Ray.
        data: dataset directory.
    """
    from ..training.environment import commit

    version = importlib.metadata.version("exeunt")
    yield Finding("ok", "exeunt", f"{version}, commit {commit()}" if commit() else version)
    yield from devices()
    yield from machine(is_local=address is None)
    yield storage(store)
    yield mlflow(tracking_uri)
    yield ray(address)
    yield from datasets(data)


def devices() -> Iterator[Finding]:
    """Check each GPU and MPS, or the CPU if there is no GPU; report memory, capability and `precision: auto`."""
    import torch

    from ..training.environment import choose_precision, describe_environment

    for number in range(torch.cuda.device_count()):
        device, subject = torch.device("cuda", number), f"cuda:{number}"
        try:
            torch.ones(8, device=device).sum().item()
            facts = torch.cuda.get_device_properties(device)
            memory, capability = (
                f"{facts.total_memory / GIB:.1f} GiB",
                f"compute capability {facts.major}.{facts.minor}",
            )
            precision = choose_precision("auto", device)
            yield Finding("ok", subject, f"{facts.name}, {memory}, {capability}, precision: auto is {precision}")
        except RuntimeError as error:
            remedy = "check its processes with `nvidia-smi`; install the torch build for its driver (see pytorch.org)"
            yield Finding("wrong", subject, f"computation fails: {_first_line(error)}", remedy)
    if torch.cuda.device_count():
        yield mps(pipe_directory())
        return
    cpu = torch.device("cpu")
    described = describe_environment(cpu, choose_precision("auto", cpu))
    what = f"{described['device']}, {described_limits()}, precision: auto is {described['precision']}"
    if Path("/proc/driver/nvidia/version").exists():
        remedy = "check that `nvidia-smi` lists a GPU; install the torch build for its driver (see pytorch.org)"
        yield Finding("wrong", "CPU", f"{what}; the NVIDIA driver is loaded, but PyTorch finds no GPU", remedy)
    else:
        yield Finding("ok", "CPU", what)


def machine(*, is_local: bool) -> Iterator[Finding]:
    """Check the conditions of this machine on which a sweep depends.

    Args:
        is_local: True if a sweep starts a local Ray.
    """
    for problem in problems():
        yield Finding(
            "wrong" if problem.is_fatal and is_local else "advice", problem.subject, problem.what, problem.remedy
        )


def mps(pipes: Path, processes: Path = Path("/proc")) -> Finding:
    """Check that NVIDIA's Multi-Process Service runs on this machine, with which trials compute on one GPU together.

    Args:
        pipes: directory with the pipes of its control daemon.
        processes: directory with a subdirectory for each process.
    """
    if any(_process_name(comm).startswith(MPS_PROCESS) for comm in processes.glob("[0-9]*/comm")):
        return Finding("ok", "MPS", "NVIDIA's Multi-Process Service runs; trials that share a GPU use it together")
    if (pipes / "control").exists():
        what = f"{pipes} has the pipe of a control daemon, but no such process is visible"
        remedy = "outside a container, start it again: `nvidia-cuda-mps-control -d`"
        return Finding("advice", "MPS", what, remedy)
    what = "not running; without it, trials that share a GPU (`gpu: 0.5` or `gpu: auto`) take turns on it"
    return Finding("advice", "MPS", what, "for shared GPUs, start it on each machine: `nvidia-cuda-mps-control -d`")


def storage(store: "Store") -> Finding:
    """Check that the storage is writable; report the free space and the file system of a directory."""
    from ..store import LocalDirectory

    place = nearest_existing(Path(store.location)) if store.is_local else None
    try:
        _write(LocalDirectory(place) if place else store.root)
    except SpecError as error:
        return Finding("wrong", "storage", str(error), "choose a writable directory: --storage DIR")
    if place is None:
        return Finding("ok", "storage", f"{store.location}, an object store, writable")
    free, system = shutil.disk_usage(place).free, _file_system(place)
    kind = "in memory" if system in MEMORY else "on a network" if system.startswith(NETWORKS) else "on a local disk"
    there = "writable" if place == Path(store.location) else "does not exist yet, can be created"
    what = f"{store.location}, {kind}, {there}, {free / GIB:.1f} GiB free"
    if system in MEMORY:
        return Finding("advice", "storage", what, "lost at a restart; choose a directory on a disk: --storage DIR")
    if owner := owner_problem(Path(store.location)):
        return Finding("advice", "storage", f"{what}; it {owner}", "share it only with a common group, or use your own")
    if free < LITTLE:
        return Finding("advice", "storage", what, "remove files that are no longer needed: `exeunt clean`")
    return Finding("ok", "storage", what)


def mlflow(tracking_uri: str) -> Finding:
    """Check that MLflow is reachable and writable."""
    from ..results.mlflow_client import answering, connect
    from ..store import LocalDirectory

    database = sqlite_file(tracking_uri)
    remedy = "choose another database: --tracking sqlite:///FILE"
    if database is None:
        remedy = "start it, or choose another with --tracking (sweeps train without it; `exeunt sync` fills it later)"
    try:
        if database is not None and not database.exists():
            _write(LocalDirectory(nearest_existing(database.absolute().parent)))
            return Finding("ok", "MLflow", f"{masked(tracking_uri)}, does not exist yet, can be created")
        if database is None and not answers(tracking_uri):
            return Finding("wrong", "MLflow", f"no server listens at {masked(tracking_uri)}", remedy)
        with answering(tracking_uri):
            client = connect(tracking_uri)
            for experiment in client.search_experiments(max_results=1):
                client.set_experiment_tag(experiment.experiment_id, PROBE, "")
                client.delete_experiment_tag(experiment.experiment_id, PROBE)
    except (SpecError, ImportError) as error:  # ImportError: the database driver is not installed
        return Finding("wrong", "MLflow", str(error), remedy)
    if database is not None and _file_system(database).startswith(NETWORKS):
        better = "SQLite locks can fail on a network; use an MLflow server: --tracking http://HOST:PORT"
        return Finding("advice", "MLflow", f"{masked(tracking_uri)}, writable, on a network", better)
    return Finding("ok", "MLflow", f"{masked(tracking_uri)}, writable")


def ray(address: str | None) -> Finding:
    """Check that a cluster accepts connections or jobs. Ray itself rejects other versions of Ray and Python."""
    if address is None:
        what = f"no cluster given; a sweep starts a local Ray with {counted(usable_cpus(), 'CPU')}"
        return Finding("ok", "Ray", what)
    if "://" in address:
        from .execution.job import require_jobs

        if not answers(address):
            remedy = "check `ray status` on its head node, and that no firewall blocks the port"
            return Finding("wrong", "Ray", f"no process listens at {masked(address)}", remedy)
        try:
            require_jobs(address)
        except SpecError as error:
            return Finding("wrong", "Ray", str(error))
        return Finding("ok", "Ray", f"{masked(address)} accepts jobs")
    from .execution.cluster import ray_at

    try:
        with ray_at(address):
            import ray as cluster

            machines = sum(node["Alive"] for node in cluster.nodes())
            has = cluster.cluster_resources()
    except SpecError as error:
        return Finding("wrong", "Ray", str(error))
    cpus, gpus = (counted(int(has.get(name, 0)), name) for name in ("CPU", "GPU"))
    what = f"{address}, Ray {cluster.__version__} as on this machine, {counted(machines, 'node')}, {cpus}, {gpus}"
    return Finding("ok", "Ray", what)


def datasets(data: Path | None) -> Iterator[Finding]:
    """Check which datasets are in the directory; each is loaded as in a sweep."""
    from ..training import DataSource
    from ..training import datasets as registered
    from ..training.data.download import AbsentDataError

    if data is not None and not data.is_dir():
        yield Finding("wrong", "data", f"directory {data} does not exist", "choose the dataset directory: --data DIR")
        return
    present, absent = [], []
    for name in registered:
        try:
            registered[name].load(DataSource(directory=data))
            present.append(name)
        except AbsentDataError:
            absent.append(name)
        except SpecError as error:
            yield Finding("wrong", "data", f"{name}: {error}", "a sweep of this dataset would fail with this error")
    where = f"in {data}" if data else "no directory given by --data DIR or EXEUNT_DATA"
    yield Finding("ok", "data", f"{where}; found: {', '.join(present)}; not found: {', '.join(absent) or 'none'}")


def _write(folder: "Directory") -> None:
    folder.write(PROBE, b"")
    folder.remove(PROBE)


def _file_system(path: Path) -> str:
    """Return the type of the file system of a path; empty on systems other than Linux."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    holding = [(place, kind) for _, place, kind, *_ in mounts if path.resolve().is_relative_to(place)]
    return max(holding, key=lambda mount: len(mount[0]), default=("", ""))[1]


def _process_name(comm: Path) -> str:
    """Return the name of a process; empty if it has ended."""
    try:
        return comm.read_text().strip()
    except OSError:
        return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
