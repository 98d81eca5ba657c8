"""What sweeps would find here, looked at without training: versions, devices, storage, MLflow, Ray and data sets.

What cannot be imported is among the findings, so everything heavy is imported where it is needed.
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..specs import SpecError
from .execution.ports import answers

if TYPE_CHECKING:
    from ..training import Folder
    from .store.trial_store import Store

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "pandas")
"""Which say their versions; of all others that Exeunt needs only those are named that are wrong."""

GIB = 2**30
LITTLE = 5 * GIB
"""Free space that a sweep of large networks fills soon: each trial under way has two checkpoints."""

NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.sshfs", "afs", "9p")
"""How the names of file systems begin that are elsewhere."""
MEMORY = ("tmpfs", "ramfs")

PROBE = "exeunt-doctor"
"""What is written to see whether that is possible: a file's name, an MLflow tag's."""

Verdict = Literal["ok", "advice", "wrong"]


@dataclass(frozen=True)
class Finding:
    """What was found of a subject, and what to do about it where `what` does not say so."""

    verdict: Verdict
    subject: str
    what: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Python and the packages: whether all that Exeunt needs is installed, in a version it can use."""
    from packaging.requirements import Requirement

    yield Finding("ok", "Python", platform.python_version())
    try:
        required = [Requirement(line) for line in importlib.metadata.requires("exeunt") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("wrong", "exeunt", "runs without being installed", "install it with pip, which brings the rest")
        return
    for requirement in required:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        remedy, version = f"pip install '{requirement}'", ""
        try:
            version = importlib.metadata.version(requirement.name)
            if not requirement.specifier.contains(version, prereleases=True):
                what = f"{version} is installed, and Exeunt needs {requirement.specifier}"
                yield Finding("wrong", requirement.name, what, remedy)
            elif requirement.name in PACKAGES:
                importlib.import_module(requirement.name)
                yield Finding("ok", requirement.name, version)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("wrong", requirement.name, "not installed", remedy)
        except Exception as error:  # of any kind: compiled parts that do not match raise what they like
            what = f"{version} cannot be imported: {_first_line(error)}"
            yield Finding("wrong", requirement.name, what, "install Exeunt into a new virtual environment")


def surroundings(store: "Store", tracking_uri: str, address: str | None, data: Path | None) -> Iterator[Finding]:
    """All the rest, which needs the packages.

    Args:
        store: what `--storage` names.
        tracking_uri: MLflow's server or database.
        address: of a Ray cluster, or of one that takes jobs; None where a sweep starts a Ray of its own.
        data: the folder of data sets.
    """
    from ..training.environment import commit

    version = importlib.metadata.version("exeunt")
    yield Finding("ok", "exeunt", f"{version}, commit {commit()}" if commit() else version)
    yield from devices()
    yield storage(store)
    yield mlflow(tracking_uri)
    yield ray(address)
    yield from datasets(data)


def devices() -> Iterator[Finding]:
    """Each accelerator, or the processor where there is none: memory, capability and what `precision: auto` means."""
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
            remedy = "`nvidia-smi` shows who uses it; pytorch.org says which torch fits its driver"
            yield Finding("wrong", subject, f"does not compute: {_first_line(error)}", remedy)
    if torch.cuda.device_count():
        return
    cpu = torch.device("cpu")
    described = describe_environment(cpu, choose_precision("auto", cpu), threads=1, processes=1)
    cores, memory = len(os.sched_getaffinity(0)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    what = f"{described['device']}, {cores} cores, {memory:.1f} GiB, precision: auto is {described['precision']}"
    if Path("/proc/driver/nvidia/version").exists():
        remedy = "`nvidia-smi` has to show an accelerator; pytorch.org says which torch fits its driver"
        yield Finding("wrong", "processor", f"{what}; NVIDIA's driver runs, but PyTorch sees no accelerator", remedy)
    else:
        yield Finding("ok", "processor", what)


def storage(store: "Store") -> Finding:
    """Whether the storage can be written; of a folder how much is free, and whether it is on this machine."""
    from ..training import LocalFolder

    place = _nearest(Path(store.location)) if store.is_local else None
    try:
        _write(LocalFolder(place) if place else store.root)
    except SpecError as error:
        return Finding("wrong", "storage", str(error), "name one that you may write to: --storage DIR")
    if place is None:
        return Finding("ok", "storage", f"{store.location}, an object store, writable")
    free, system = shutil.disk_usage(place).free, _file_system(place)
    kind = "in memory" if system in MEMORY else "on a network" if system.startswith(NETWORKS) else "on a local disk"
    there = "writable" if place == Path(store.location) else "not there yet, can be made"
    what = f"{store.location}, {kind}, {there}, {free / GIB:.1f} GiB free"
    if system in MEMORY:
        return Finding("advice", "storage", what, "a restart of the machine empties it; --storage DIR names a disk")
    if free < LITTLE:
        return Finding("advice", "storage", what, "`exeunt clean` removes what serves nothing any more")
    return Finding("ok", "storage", what)


def mlflow(tracking_uri: str) -> Finding:
    """Whether MLflow answers and can be written."""
    from ..results.mlflow_client import answering, connect, shown, sqlite_file
    from ..training import LocalFolder

    database = sqlite_file(tracking_uri)
    remedy = "name another with --tracking sqlite:///FILE"
    if database is None:
        remedy = "start it, or name another with --tracking; without it sweeps train, and `exeunt sync` catches up"
    try:
        if database is not None and not database.exists():
            _write(LocalFolder(_nearest(database.absolute().parent)))
            return Finding("ok", "MLflow", f"{tracking_uri}, not there yet, can be made")
        if database is None and not answers(tracking_uri):
            return Finding("wrong", "MLflow", f"nothing listens at {shown(tracking_uri)}", remedy)
        with answering(tracking_uri):
            client = connect(tracking_uri)
            for experiment in client.search_experiments(max_results=1):
                client.set_experiment_tag(experiment.experiment_id, PROBE, "")
                client.delete_experiment_tag(experiment.experiment_id, PROBE)
    except (SpecError, ImportError) as error:  # ImportError: of the database's driver
        return Finding("wrong", "MLflow", str(error), remedy)
    if database is not None and _file_system(database).startswith(NETWORKS):
        better = "SQLite's locks do not hold on every network; a server does better: --tracking http://HOST:PORT"
        return Finding("advice", "MLflow", f"{shown(tracking_uri)}, writable, on a network", better)
    return Finding("ok", "MLflow", f"{shown(tracking_uri)}, writable")


def ray(address: str | None) -> Finding:
    """Whether a cluster lets us in, or takes jobs. Ray itself refuses other versions of Ray and Python than its own."""
    if address is None:
        what = f"no cluster named; a sweep starts a Ray of its own with {len(os.sched_getaffinity(0))} CPUs"
        return Finding("ok", "Ray", what)
    if "://" in address:
        from .execution.job import require_jobs

        if not answers(address):
            remedy = "`ray status` on its head shows whether it runs; its firewall may let nobody in"
            return Finding("wrong", "Ray", f"nothing listens at {address}", remedy)
        try:
            require_jobs(address)
        except SpecError as error:
            return Finding("wrong", "Ray", str(error))
        return Finding("ok", "Ray", f"{address} takes jobs")
    from .execution.cluster import ray_at

    try:
        with ray_at(address):
            import ray as cluster

            machines = sum(node["Alive"] for node in cluster.nodes())
            has = cluster.cluster_resources()
    except SpecError as error:
        return Finding("wrong", "Ray", str(error))
    count = "1 machine" if machines == 1 else f"{machines} machines"
    what = f"{address}, Ray {cluster.__version__} as here, {count}"
    return Finding("ok", "Ray", f"{what}, {has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs")


def datasets(data: Path | None) -> Iterator[Finding]:
    """Which data sets are in the folder, each read as a sweep would read it."""
    from ..training import DataSource
    from ..training import datasets as registered
    from ..training.data.download import AbsentDataError

    if data is not None and not data.is_dir():
        yield Finding("wrong", "data", f"there is no folder {data}", "name the one that has them: --data DIR")
        return
    present, absent = [], []
    for name in registered:
        try:
            registered[name].load(DataSource(directory=data))
            present.append(name)
        except AbsentDataError:
            absent.append(name)
        except SpecError as error:
            yield Finding("wrong", "data", f"{name}: {error}", "a sweep of it would end with this message")
    where = f"in {data}" if data else "no folder named by --data DIR or EXEUNT_DATA"
    yield Finding("ok", "data", f"{where}; there: {', '.join(present)}; not there: {', '.join(absent) or 'none'}")


def _write(folder: "Folder") -> None:
    folder.write(PROBE, b"")
    folder.remove(PROBE)


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())


def _file_system(path: Path) -> str:
    """The kind that a path is on, as Linux calls it; empty elsewhere."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    holding = [(place, kind) for _, place, kind, *_ in mounts if path.resolve().is_relative_to(place)]
    return max(holding, key=lambda mount: len(mount[0]), default=("", ""))[1]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
