"""Listening sockets of processes, read from /proc."""

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LISTENING = "0A"


def listened_at(pids: Iterable[int]) -> list[Address]:
    """Return the addresses at which processes accept connections."""
    ours = {inode for pid in pids for inode in _sockets_of(pid)}
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    entries = [line.split() for table in tables for line in table]
    return [_address(entry[1].partition(":")[0]) for entry in entries if entry[3] == LISTENING and entry[9] in ours]


def _sockets_of(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if (target := str(descriptor.readlink())).startswith("socket:["):
                yield target[8:-1]


def _address(written: str) -> Address:
    """Parse an address as the kernel writes it: 32-bit words in native byte order."""
    words = [int(written[at : at + 8], 16) for at in range(0, len(written), 8)]
    found = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    return getattr(found, "ipv4_mapped", None) or found
