import ipaddress
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

FILE = """\
name: alone
dataset: digits
architectures: [resnet8]
seeds: [0]
recipe: {base: fast, epochs: 100}
methods: {baseline: {}}
"""
LISTENING = "0A"


def sockets_of(pid: int) -> Iterator[str]:
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            if (target := str(descriptor.readlink())).startswith("socket:["):
                yield target[8:-1]


def address(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """As the kernel writes it: 32-bit words in the machine's order."""
    words = [int(written[at : at + 8], 16) for at in range(0, len(written), 8)]
    found = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    return getattr(found, "ipv4_mapped", None) or found


def test_what_a_sweep_starts_listens_on_loopback_alone(tmp_path, start):
    (tmp_path / "sweep.yaml").write_text(FILE)
    command = start("sweep", tmp_path / "sweep.yaml", "--storage", tmp_path / "runs")
    command.until(lambda: list(tmp_path.glob("runs/trials/*/checkpoint-*")))
    ours = {inode for pid in command.processes() for inode in sockets_of(pid)}
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    entries = [line.split() for table in tables for line in table]
    listening = [entry[1] for entry in entries if entry[3] == LISTENING and entry[9] in ours]
    assert len(listening) > 3, "Ray's own servers"
    assert [written for written in listening if not address(written.partition(":")[0]).is_loopback] == []
