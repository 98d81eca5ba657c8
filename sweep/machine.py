"""Conditions of this machine on which a sweep and its local Ray depend."""

import os
import pwd
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies_environment, proxy_bypass

from .terminal.counts import counted

GIB = 2**30
SOCKET_BYTES = 107
"""Length of the longest path of a Unix socket (Linux)."""
SESSION = "session_2026-01-31_12-34-56_123456_{pid}/sockets/plasma_store"
"""Path of Ray's socket with the longest name below its directory (ray 2.60)."""
SHARED_MEMORY = GIB
"""Free shared memory in bytes with which Ray can keep its objects there."""
TEMPORARY = GIB
"""Free space in bytes that Ray's logs and objects may need."""
RAY_PROCESSES = ("raylet", "gcs_server")
CACHES = {"XDG_CACHE_HOME": "~/.cache", "MPLCONFIGDIR": "~/.config", "TORCH_HOME": "~/.cache/torch"}
"""Directories in which libraries keep files, by the variable that chooses another one."""
LOOPBACK = ("127.0.0.1", "localhost")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, kw_only=True)
class MachineProblem:
    """A condition that makes a sweep fail or slow, and its fix."""

    subject: str
    what: str
    remedy: str
    is_fatal: bool = False
    """True if a sweep with a local Ray fails."""


def problems() -> Iterator[MachineProblem]:
    """Iterate over the problems of this machine."""
    checks: tuple[Callable[[], MachineProblem | None], ...]
    checks = (long_socket_path, temporary_directory, shared_memory, other_ray, proxies, host_name, home)
    yield from filter(None, (check() for check in checks))


def ray_directory() -> Path:
    """Return the directory in which Ray puts its own directory (ray 2.60)."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def long_socket_path() -> MachineProblem | None:
    """Return a problem if the paths of Ray's sockets are longer than Unix sockets can have."""
    place = ray_directory()
    path = place / "ray" / SESSION.format(pid=os.getpid())
    if (length := len(os.fsencode(path))) <= SOCKET_BYTES:
        return None
    variable = "RAY_TMPDIR" if os.environ.get("RAY_TMPDIR") else "TMPDIR"
    what = f"{variable} is {place}, so the paths of Ray's sockets have {length} bytes (maximum {SOCKET_BYTES})"
    return MachineProblem(
        subject="Ray", what=what, remedy="set a short directory: export RAY_TMPDIR=/tmp", is_fatal=True
    )


def temporary_directory() -> MachineProblem | None:
    """Return a problem if Ray's directory is not writable or nearly full."""
    place = nearest_existing(ray_directory())
    if not os.access(place, os.W_OK | os.X_OK):
        what = f"Ray needs {ray_directory()}, which is not writable"
        return MachineProblem(subject="Ray", what=what, remedy="choose another: export RAY_TMPDIR=DIR", is_fatal=True)
    if (free := shutil.disk_usage(place).free) < TEMPORARY:
        what = f"Ray writes to {ray_directory()}, which has {free / GIB:.1f} GiB free"
        return MachineProblem(
            subject="Ray", what=what, remedy="free space there, or choose another: export RAY_TMPDIR=DIR"
        )
    return None


def shared_memory(place: Path = Path("/dev/shm")) -> MachineProblem | None:
    """Return a problem if there is little shared memory, as in a container by default."""
    if not place.is_dir():
        return None
    if (free := shutil.disk_usage(place).free) >= SHARED_MEMORY:
        return None
    what = f"{place} has {free / GIB:.2f} GiB free, so Ray keeps its objects on the disk"
    return MachineProblem(subject="memory", what=what, remedy="in Docker, start the container with --shm-size=2g")


def other_ray(processes: Path = Path("/proc")) -> MachineProblem | None:
    """Return a problem if another Ray runs on this machine, which also gives all CPUs to its tasks."""
    numbers = [comm.parent.name for comm in processes.glob("[0-9]*/comm") if _content(comm) in RAY_PROCESSES]
    if not numbers:
        return None
    what = f"another Ray runs on this machine (process {min(numbers, key=int)}), and both use all CPUs"
    return MachineProblem(subject="Ray", what=what, remedy="use it with --address auto, or end it with `ray stop`")


def proxies() -> MachineProblem | None:
    """Return a problem if requests to servers on this machine, such as MLflow's, would go to a proxy."""
    found = getproxies_environment()
    used = [scheme for scheme in ("http", "https", "all") if scheme in found]
    missing = [host for host in LOOPBACK if not proxy_bypass(host)]
    if not used or not missing:
        return None
    what = (
        f"{used[0]}_proxy is set, and no_proxy lacks {' and '.join(missing)}: servers on this machine are not reached"
    )
    value = ",".join(filter(None, [found.get("no", ""), *missing]))
    return MachineProblem(subject="proxy", what=what, remedy=f"export no_proxy={value} NO_PROXY={value}")


def host_name() -> MachineProblem | None:
    """Return a problem if the name of this machine has no address."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        what = f"the host name {name} has no address, which delays or prevents connections of Ray and MLflow"
        return MachineProblem(subject="host", what=what, remedy=f"add the line `127.0.1.1 {name}` to /etc/hosts")
    return None


def home() -> MachineProblem | None:
    """Return a problem if libraries cannot write to the home directory or to a cache."""
    for variable, usual in CACHES.items():
        place = Path(os.environ.get(variable) or usual).expanduser()
        if not os.access(nearest_existing(place), os.W_OK | os.X_OK):
            what = f"{place} is not writable, so libraries cannot keep their files there"
            return MachineProblem(subject="home", what=what, remedy=f"choose another directory: export {variable}=DIR")
    return None


def owner_problem(storage: Path) -> str:
    """Return a sentence part about a directory of another user; empty if it is one's own or does not exist."""
    try:
        uid = storage.stat().st_uid
    except OSError:
        return ""
    return "" if uid == os.geteuid() else f"belongs to {_user(uid)}, not to {_user(os.geteuid())}"


def usable_cpus(groups: Path = CONTROL_GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the number of CPUs that this process may use: those of its affinity, at most its control group's share."""
    affinity = len(os.sched_getaffinity(0))
    limits = [*_quotas(groups, own)]
    return max(1, min(affinity, int(min(limits, default=affinity))))


def usable_memory(groups: Path = CONTROL_GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the memory in bytes that this process may use: that of the machine, at most its control group's limit."""
    limits = [_memory()]
    for directory in _control_groups("memory", groups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (limit := _content(directory / name)).isdecimal():
                limits.append(int(limit))
    return min(limits)


def described_limits() -> str:
    """Return the CPUs and the memory that this process may use, and if a control group limits them."""
    cores, memory = usable_cpus(), usable_memory()
    is_limited = cores < len(os.sched_getaffinity(0)) or memory < _memory()
    return f"{counted(cores, 'core')}, {memory / GIB:.1f} GiB{' (limits of its control group)' if is_limited else ''}"


def _memory() -> int:
    """Return the memory of the machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """Iterate over the CPUs that each control group of this process may use."""
    for directory in _control_groups("cpu", groups, own):
        quota, _, period = _content(directory / "cpu.max").partition(" ")
        if not quota:
            quota, period = _content(directory / "cpu.cfs_quota_us"), _content(directory / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _control_groups(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """Iterate over the directories of this process's control groups, of versions 1 and 2, up to the root."""
    for line in _content(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controller if controllers else groups
        place = root / path.lstrip("/")
        yield from (one for one in (place, *place.parents) if one.is_relative_to(root))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _content(file: Path) -> str:
    """Return the text of a file; empty if it does not exist or its process has ended."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def nearest_existing(path: Path) -> Path:
    """Return the path, or its nearest parent that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
