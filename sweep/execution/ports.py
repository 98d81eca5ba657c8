"""Whether anything listens where a cluster or a server is said to be."""

import socket
from urllib.parse import urlsplit

PORTS = {"ray": 10001, "http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Where one listens that is named without a port, by what its address begins with; `HOST` alone is a Ray's."""
RAY_PORT = 6379
CONNECT_TIMEOUT_S = 3.0
"""Seconds in which it has to accept a connection."""


def answers(address: str) -> bool:
    """Whether a process accepts connections at `HOST:PORT`, or where a URI says."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    usual = PORTS.get(parts.scheme.partition("+")[0], RAY_PORT)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or usual), timeout=CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False
